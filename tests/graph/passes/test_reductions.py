from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.graph.models import check, model, node, value

SHAPE = (1, 4, 6)


def _of(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    return model([node("Sigmoid", "x", "h"), *nodes], {"x": SHAPE}, "y", {"a": [1], "two": 2.0, "three": 3.0})


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize(
    ("inner", "op_type"),
    [
        (node("Abs", "h", "i"), "ReduceL1"),
        (node("Mul", "h h", "i"), "ReduceSumSquare"),
        (node("Pow", "h two", "i"), "ReduceSumSquare"),
    ],
)
def test_sum_of(inner: onnx.NodeProto, op_type: str, keep: int) -> None:
    check(_of(inner, node("ReduceSum", "i a", "y", keepdims=keep)), ["Sigmoid", op_type])


@pytest.mark.parametrize("keep", [0, 1])
def test_norm(keep: int) -> None:
    total = node("ReduceSum", "i a", "t", keepdims=keep)
    check(_of(node("Mul", "h h", "i"), total, node("Sqrt", "t", "y")), ["Sigmoid", "ReduceL2"])


@pytest.mark.parametrize("keep", [0, 1])
def test_logarithm_of_a_sum(keep: int) -> None:
    total = node("ReduceSum", "h a", "t", keepdims=keep)
    check(_of(total, node("Log", "t", "y")), ["Sigmoid", "ReduceLogSum"])


@pytest.mark.parametrize("keep", [0, 1])
def test_logarithm_of_a_sum_of_exponentials(keep: int) -> None:
    total = node("ReduceSum", "i a", "t", keepdims=keep)
    check(_of(node("Exp", "h", "i"), total, node("Log", "t", "y")), ["Sigmoid", "ReduceLogSumExp"])


@pytest.mark.parametrize(
    "inner", [node("Mul", "h x", "i"), node("Pow", "h three", "i"), node("Mul", "h two", "i"), node("Neg", "h", "i")]
)
def test_other_sums_stay(inner: onnx.NodeProto) -> None:
    canonical = check(_of(inner, node("ReduceSum", "i a", "y")))
    assert not {"ReduceL1", "ReduceL2", "ReduceSumSquare"} & {step.op_type for step in canonical.graph}


def test_a_sum_used_elsewhere_stays() -> None:
    nodes = [node("Sigmoid", "x", "h"), node("ReduceSum", "h a", "t"), node("Log", "t", "y")]
    check(model(nodes, {"x": SHAPE}, "t y", {"a": [1]}), ["Sigmoid", "ReduceSum", "Log"])


def test_squares_with_more_dimensions_than_their_base_stay() -> None:
    two = np.full((1, 1), 2, np.float32)
    check(model([node("Pow", "x n", "h"), node("ReduceSum", "h a", "y")], {"x": (3,)}, "y", {"n": two, "a": [1]}))


def test_sums_of_integers_stay() -> None:
    nodes = [node("Mul", "x x", "h"), node("ReduceSum", "h a", "y")]
    check(model(nodes, [value("x", (1, 3), np.int64)], [value("y", None, np.int64)], {"a": [1]}), ["Mul", "ReduceSum"])
