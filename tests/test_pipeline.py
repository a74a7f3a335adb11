"""Stages of the pipeline where their result cannot be seen from outside."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import tinsmith
from tests.graph.models import model, node
from tests.small_net import classifier, images
from tinsmith.algorithms.scales import choose_formats
from tinsmith.calibrate.stage import Calibrated
from tinsmith.errors import RecipeError
from tinsmith.ops.floatnode import Network
from tinsmith.pipeline.choosing import calibrate
from tinsmith.pipeline.opening import open_model
from tinsmith.recipe import Recipe, Scope
from tinsmith.targets import find

S3 = find("esp32s3")


def calibrated(recipe: Recipe) -> tuple[Network, Calibrated]:
    opened = open_model(classifier(), recipe, S3, lambda *_: None)
    return opened.network, calibrate(opened, images(4), recipe, S3, lambda *_: None)


def test_only_what_decides_is_observed() -> None:
    _, found = calibrated(Recipe())
    assert set(found.stats) == {"image", "active", "pooled", "scores"}
    assert all(set(value.candidates) == {8} for value in found.stats.values())


@pytest.mark.parametrize("recipe", [Recipe(max_drop=0.5), Recipe(int16_budget=0.5)])
@pytest.mark.parametrize("wide", ["conv relu", "pool flatten", "gemm", "conv relu gemm", "pool flatten gemm"])
def test_formats_of_any_mix_of_widths_can_be_chosen(recipe: Recipe, wide: str) -> None:
    network, found = calibrated(recipe)
    widths = {node.name: 16 if node.name in wide.split() else 8 for node in network.nodes}
    formats = choose_formats(network, widths, found.stats, S3)
    assert {formats.values[node.outputs[0].name].bits for node in network.nodes if widths[node.name] == 16} == {16}
    assert {value for value, chosen in formats.values.items() if chosen.bits in (8, 16)} <= set(found.stats)


def net_with_softmax() -> onnx.ModelProto:
    """x → Gemm → Softmax → y."""
    nodes = [node("Gemm", "x w", "a", "gemm"), node("Softmax", "a", "y", "soft")]
    return model(nodes, {"x": (1, 4)}, "y", {"w": np.eye(4, dtype=np.float32)})


SCOPES = {
    "method of floats": (Scope(layers=("soft",), calibration="kl"), "scope 1: calibration has no effect: what its"),
    "percentile of floats": (
        Scope(layers=("soft",), calibration="percentile", percentile=99.0),
        "scope 1: calibration has no effect",
    ),
    "nothing to tune": (
        Scope(layers=("soft",), tune=False),
        "scope 1: tune has no effect: none of its layers",
    ),
}


@pytest.mark.parametrize(("scope", "message"), SCOPES.values(), ids=SCOPES.keys())
def test_scopes_without_effect(scope: Scope, message: str) -> None:
    data = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    with pytest.raises(RecipeError, match=message):
        tinsmith.quantize(net_with_softmax(), data, scopes=[scope], effort="fast")
    both = scope.model_copy(update={"layers": ("soft", "gemm")})
    tinsmith.quantize(net_with_softmax(), data, scopes=[both], effort="fast")
