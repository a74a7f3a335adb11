from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph.models import check, model, node, value
from tinsmith.graph.passes import no_ops
from tinsmith.graph.shapes import infer
from tinsmith.importers import load

SHAPE = (1, 3, 4, 4)

NOTHING: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "Identity": ([node("Identity", "h", "k")], {}),
    "Dropout": ([node("Dropout", "h", "k")], {}),
    "Cast": ([node("Cast", "h", "k", to=1)], {}),
    "Cast there and back": ([node("Cast", "h", "d", to=11), node("Cast", "d", "k", to=1)], {}),
    "Reshape": ([node("Reshape", "h s", "k")], {"s": [0, -1, 4, 4]}),
    "Flatten and back": ([node("Flatten", "h", "f"), node("Reshape", "f s", "k")], {"s": SHAPE}),
    "Unsqueeze, Squeeze": ([node("Unsqueeze", "h a", "u"), node("Squeeze", "u a", "k")], {"a": [0, 2]}),
    "Transpose": ([node("Transpose", "h", "k", perm=[0, 1, 2, 3])], {}),
    "Transposes": (
        [node("Transpose", "h", "t", perm=[0, 2, 3, 1]), node("Transpose", "t", "k", perm=[0, 3, 1, 2])],
        {},
    ),
    "Slice": ([node("Slice", "h b e", "k")], {"b": [0, 0], "e": [1, 2**40]}),
    "Pad": ([node("Pad", "h p", "k")], {"p": [0] * 8}),
    "Concat": ([node("Concat", "h", "k", axis=1)], {}),
    "Sum": ([node("Sum", "h", "k")], {}),
    "Split": ([node("Split", "h", "k", axis=1, num_outputs=1)], {}),
    "Expand": ([node("Expand", "h s", "k")], {"s": [1, 3, 1, 4]}),
    "Tile": ([node("Tile", "h r", "k")], {"r": [1, 1, 1, 1]}),
    "Mul": ([node("Mul", "one h", "k")], {"one": np.ones((3, 1, 1), np.float32)}),
    "Div": ([node("Div", "h one", "k")], {"one": 1.0}),
    "Add": ([node("Add", "zero h", "k")], {"zero": np.zeros((1, 3, 1, 1), np.float32)}),
    "Sub": ([node("Sub", "h zero", "k")], {"zero": 0.0}),
    "Resize": ([node("Resize", "h _ s", "k")], {"s": [1.0, 1.0, 1.0, 1.0]}),
    "MaxPool": ([node("MaxPool", "h", "k", kernel_shape=[1, 1])], {}),
    "AveragePool": ([node("AveragePool", "h", "k", kernel_shape=[1, 1])], {}),
    "ReduceMean": ([node("ReduceMean", "h a", "k")], {"a": [0]}),
    "ReduceSum without axes": ([node("ReduceSum", "h", "k", noop_with_empty_axes=1)], {}),
    "Clip": ([node("Clip", "h", "k")], {}),
    "Clip to all floats": (
        [node("Clip", "h low high", "k")],
        {"low": -3.5e38, "high": float(np.finfo(np.float32).max)},
    ),
}


@pytest.mark.parametrize("kind", NOTHING)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_what_does_nothing_goes(kind: str) -> None:
    nodes, constants = NOTHING[kind]
    inside = model([node("Relu", "x", "h"), *nodes, node("Sigmoid", "k", "y")], {"x": SHAPE}, "y", constants)
    check(inside, ["Relu", "Sigmoid"])


@pytest.mark.parametrize("kind", NOTHING)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_an_output_keeps_its_name(kind: str) -> None:
    nodes, constants = NOTHING[kind]
    canonical = check(model([node("Relu", "x", "h"), *nodes], {"x": SHAPE}, "k", constants), ["Relu"])
    assert [out.name for out in canonical.graph.outputs] == ["k"]


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Mul", "h c", "y")], {"c": np.ones((2, 1, 1, 1), np.float32)}),
        ([node("Slice", "h b e a s", "y")], {"b": [3], "e": [-9], "a": [2], "s": [-1]}),
        ([node("Transpose", "h", "y", perm=[0, 1, 3, 2])], {}),
        ([node("MaxPool", "h", "y", kernel_shape=[1, 1], strides=[2, 2])], {}),
        ([node("ReduceSumSquare", "h a", "y")], {"a": [0]}),
    ],
)
def test_what_only_looks_like_nothing_stays(nodes: list[Any], constants: dict[str, Any]) -> None:
    assert len(check(model([node("Sigmoid", "x", "h"), *nodes], {"x": SHAPE}, "y", constants)).graph) == 2


def test_outputs_that_are_the_same_value_stay_apart() -> None:
    canonical = check(
        model([node("Relu", "x", "y"), node("Identity", "y", "z"), node("Identity", "x", "w")], {"x": SHAPE}, "z y w")
    )
    assert [out.name for out in canonical.graph.outputs] == ["z", "y", "w"]


def test_integers_are_added_too() -> None:
    inputs = [value("x", (2, 3), np.int64)]
    check(
        model(
            [node("Add", "x zero", "h"), node("Gather", "t h", "y")],
            inputs,
            "y",
            {"zero": 0, "t": np.eye(4)[:, :2].astype(np.float32)},
        ),
        ["Gather"],
    )


def test_a_node_whose_other_output_is_used_stays_under_another_name() -> None:
    net = model(
        [node("Dropout", "x", "y m", "dropout")],
        [value("x", SHAPE)],
        [value("y", None), value("m", None, bool)],
    )
    source = load(net)
    infer(source)
    assert no_ops.apply(source.graph)
    names = [out.name for step in source.graph for out in step.outputs]
    assert sorted(step.op_type for step in source.graph) == ["Dropout", "Identity"]
    assert len(set(names)) == len(names)
