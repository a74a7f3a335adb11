from __future__ import annotations

import onnx
import pytest

from tests.graph.models import check, model, node

SHAPE = (1, 4, 6)


def _softmax(lowered: bool) -> list[onnx.NodeProto]:
    before = [node("ReduceMax", "h a", "m"), node("Sub", "h m", "s")] if lowered else [node("Identity", "h", "s")]
    return [node("Tanh", "x", "h"), *before, node("Exp", "s", "e"), node("ReduceSum", "e a", "t")]


@pytest.mark.parametrize("lowered", [False, True])
@pytest.mark.parametrize("axis", [-1, 1])
def test_softmax(lowered: bool, axis: int) -> None:
    nodes = [*_softmax(lowered), node("Div", "e t", "y", name="softmax")]
    canonical = check(model(nodes, {"x": SHAPE}, "y", {"a": [axis]}), ["Tanh", "Softmax"])
    assert canonical.graph[1].name == "softmax"
    assert canonical.graph[1].attributes["axis"].as_int() % 3 == axis % 3


@pytest.mark.parametrize("lowered", [False, True])
@pytest.mark.parametrize("axis", [-1, 1])
def test_log_softmax(lowered: bool, axis: int) -> None:
    nodes = [*_softmax(lowered), node("Log", "t", "l"), node("Sub", "s l", "y")]
    check(model(nodes, {"x": SHAPE}, "y", {"a": [axis]}), ["Tanh", "LogSoftmax"])


def test_logarithm_of_softmax() -> None:
    nodes = [node("Tanh", "x", "h"), node("Softmax", "h", "s", axis=1), node("Log", "s", "y")]
    check(model(nodes, {"x": SHAPE}, "y"), ["Tanh", "LogSoftmax"])


def test_logarithm_beside_softmax_stays() -> None:
    nodes = [node("Tanh", "x", "h"), node("Softmax", "h", "s", axis=1), node("Log", "s", "y")]
    check(model(nodes, {"x": SHAPE}, "s y"), ["Tanh", "Softmax", "Log"])


@pytest.mark.parametrize(
    ("total", "quotient"),
    [
        (node("ReduceSum", "e a", "t", keepdims=0), "e t"),  # broadcast from the front: something else
        (node("ReduceSum", "e b", "t"), "e t"),  # over two axes
        (node("ReduceSum", "h a", "t"), "e t"),
        (node("ReduceMean", "e a", "t"), "e t"),
        (node("ReduceSum", "e a", "t"), "t e"),
    ],
)
def test_what_is_no_softmax(total: onnx.NodeProto, quotient: str) -> None:
    nodes = [node("Sigmoid", "x", "h"), node("Exp", "h", "e"), total, node("Div", quotient, "y")]
    canonical = check(model(nodes, {"x": (1, 4, 4)}, "y", {"a": [-1], "b": [1, 2]}))
    assert "Softmax" not in [step.op_type for step in canonical.graph]


def test_the_maximum_of_another_axis_stays() -> None:
    nodes = [node("Tanh", "x", "h"), node("ReduceMax", "h a", "m"), node("Sub", "h m", "s"), node("Softmax", "s", "y")]
    check(model(nodes, {"x": SHAPE}, "y", {"a": [1]}), ["Tanh", "ReduceMax", "Sub", "Softmax"])


def test_a_vector_needs_no_axes() -> None:
    nodes = [node("Exp", "x", "e"), node("ReduceSum", "e", "t"), node("Div", "e t", "y")]
    check(model(nodes, {"x": (7,)}, "y"), ["Softmax"])


def test_exponentials_used_elsewhere_stay() -> None:
    nodes = [node("Exp", "x", "e"), node("ReduceSum", "e a", "t"), node("Div", "e t", "y"), node("Sigmoid", "e", "z")]
    canonical = check(model(nodes, {"x": SHAPE}, "y z", {"a": [2]}))
    assert "Exp" in [step.op_type for step in canonical.graph]
