"""Stages of the pipeline where their result cannot be seen from outside."""

from __future__ import annotations

import pytest

from tests.small_net import classifier, images
from tinsmith.algorithms.scales import choose_formats
from tinsmith.calibrate.stage import Calibrated
from tinsmith.ops.floatnode import Network
from tinsmith.pipeline.choosing import calibrate
from tinsmith.pipeline.opening import open_model
from tinsmith.recipe import Recipe
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
