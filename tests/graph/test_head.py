"""Heads of detectors: what has one, and where it is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from tests.graph.models import check, model, node, op_types
from tinsmith.graph import canonicalize
from tinsmith.graph.head import head_notes, suggest_outputs
from tinsmith.importers import load

RNG = np.random.default_rng(5)
W = RNG.normal(size=(8, 3, 1, 1)).astype(np.float32)
LAYER = node("Conv", "x w", "a")


def suggested(nodes: list[onnx.NodeProto], outputs: str = "y", **constants: Any) -> tuple[str, ...]:
    return suggest_outputs(load(model(nodes, {"x": (1, 3, 4, 4)}, outputs, {"w": W, **constants})))


def integral(weights: Any = None) -> list[onnx.NodeProto]:
    """Two distributions of four bins per place, and their expected values."""
    return [
        node("Reshape", "a shape", "b"), node("Transpose", "b", "c", perm=[0, 2, 1, 3]),
        node("Softmax", "c", "d", axis=1), node("Conv", "d bins", "e"), node("Reshape", "e flat", "y"),
    ]  # fmt: skip


INTEGRAL = {
    "shape": [1, 2, 4, 16],
    "flat": [1, 2, 16],
    "bins": np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1),
}


def test_expected_values() -> None:
    assert suggested([LAYER, *integral()], **INTEGRAL) == ("a",)


def test_a_softmax_into_a_real_layer_is_no_head() -> None:
    bins = RNG.normal(size=(5, 4, 1, 1)).astype(np.float32)
    assert suggested([LAYER, *integral()], **{**INTEGRAL, "bins": bins, "flat": [1, 5, 32]}) == ()


def test_anchors() -> None:
    grid = RNG.normal(size=(1, 1, 4, 4)).astype(np.float32)
    assert suggested([LAYER, node("Sigmoid", "a", "s"), node("Add", "s g", "y")], g=grid) == ("a",)


def test_scores_beside_distances() -> None:
    nodes = [LAYER, node("Split", "a", "b c", axis=1, num_outputs=2), node("Sigmoid", "c", "s")]
    assert suggested([*nodes, node("Concat", "b s", "y", axis=1)]) == ("a",)
    both = [*nodes, node("Sigmoid", "b", "t")]
    assert suggested([*both, node("Concat", "t s", "y", axis=1)]) == ()


@pytest.mark.parametrize("op", ["ArgMax", "TopK"])
def test_choices(op: str) -> None:
    last = node(op, "a k", "y i") if op == "TopK" else node(op, "a", "y", axis=1)
    assert suggested([LAYER, last], k=[2]) == ("a",)


def test_operators_of_others() -> None:
    nodes = [LAYER, node("NMS", "a", "y", domain="other")]
    original = model(nodes, {"x": (1, 3, 4, 4)}, "y", {"w": W}, domains=["other"])
    assert suggest_outputs(load(original)) == ("a",)


TAILS: dict[str, list[onnx.NodeProto]] = {
    "softmax": [node("Flatten", "a", "f"), node("Softmax", "f", "y")],
    "sigmoid": [node("Sigmoid", "a", "y")],
    "mean": [node("GlobalAveragePool", "a", "y")],
    "residual": [node("Conv", "x w", "b", name="other"), node("Add", "a b", "s"), node("Relu", "s", "y")],
    "branches": [node("Conv", "x w", "b", name="other"), node("Concat", "a b", "y", axis=1)],
    "bias": [node("Add", "a c", "y")],
    "norm": [node("Mul", "a g", "b"), node("LayerNormalization", "b n", "y")],
    "scale": [node("Tanh", "a", "t"), node("Mul", "t c", "y")],
}


@pytest.mark.parametrize("tail", TAILS)
def test_what_stays(tail: str) -> None:
    c = RNG.normal(size=(8, 1, 1)).astype(np.float32)
    g = RNG.normal(size=(1, 8, 4, 4)).astype(np.float32)
    assert suggested([LAYER, *TAILS[tail]], c=c, g=g, n=np.ones(4, np.float32)) == ()


def test_each_output_on_its_own() -> None:
    nodes = [LAYER, *integral(), node("Flatten", "a", "f"), node("Softmax", "f", "z")]
    assert suggested(nodes, "y z", **INTEGRAL) == ("a", "z")
    assert suggested([LAYER, node("Softmax", "a", "z")], "z") == ()


def test_nothing_is_learned() -> None:
    grid = RNG.normal(size=(1, 1, 4, 4)).astype(np.float32)
    assert suggested([node("Add", "x g", "y")], g=grid) == ()


def test_auto() -> None:
    detector = model([LAYER, *integral()], {"x": (1, 3, 4, 4)}, "y", {"w": W, **INTEGRAL})
    assert op_types(check(detector, ["Conv"], outputs=["auto"])) == ["Conv"]
    classifier = model([LAYER, *TAILS["softmax"]], {"x": (1, 3, 4, 4)}, "y", {"w": W})
    assert op_types(canonicalize(load(classifier), outputs=["auto"])) == ["Conv", "Flatten", "Softmax"]


def test_notes() -> None:
    detector = model([LAYER, *integral()], {"x": (1, 3, 4, 4)}, "y", {"w": W, **INTEGRAL})
    (note,) = head_notes(load(detector))
    assert "'auto'" in note
    assert note.endswith("ends at a.")
    classifier = model([LAYER, *TAILS["softmax"]], {"x": (1, 3, 4, 4)}, "y", {"w": W})
    assert head_notes(load(classifier)) == ()


def test_functions_are_looked_into() -> None:
    body = onnx.helper.make_function(
        "mine", "last", ["h"], ["r"], [node("Sigmoid", "h", "r")], [onnx.helper.make_opsetid("", 24)]
    )
    nodes = [LAYER, node("last", "a", "y", domain="mine")]
    original = model(nodes, {"x": (1, 3, 4, 4)}, "y", {"w": W}, domains=["mine"])
    original.functions.append(body)
    assert suggest_outputs(load(original)) == ()
