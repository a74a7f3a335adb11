from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from tests.graph.models import Array, check, model, node, op_types
from tinsmith.graph import canonicalize
from tinsmith.importers import load


def single(op: str, inputs: str = "x", outputs: str = "y", *, shape: Any = (2, 3, 4), **rest: Any) -> ir.Node:
    """The only node of the canonical form of a node."""
    constants = rest.pop("constants", {})
    canonical = check(model([node(op, inputs, outputs, **rest)], {"x": shape}, outputs.replace("_", ""), constants))
    (step,) = canonical.graph
    return step


def constant(step: ir.Node, index: int) -> Any:
    value = step.inputs[index]
    assert value is not None
    assert value.const_value is not None
    return value.const_value.numpy().tolist()


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "LayerNormalization"])
def test_axis_counts_from_the_front(op: str) -> None:
    constants = {"g": np.ones(4, np.float32)} if op == "LayerNormalization" else {}
    assert single(op, "x g" if constants else "x", constants=constants).attributes["axis"].value == 2


def test_reductions_name_their_axes() -> None:
    step = single("ReduceMax", "x", keepdims=0)
    assert constant(step, 1) == [0, 1, 2]
    assert constant(single("ReduceL2", "x a", constants={"a": [-1, 0]}), 1) == [0, 2]


def test_a_reduction_of_nothing_is_not_an_identity_everywhere() -> None:
    assert single("ReduceL1", "x", noop_with_empty_axes=1).op_type == "LeakyRelu"


def test_squeeze_names_its_axes() -> None:
    assert constant(single("Squeeze", shape=(1, 3, 1, 4)), 1) == [0, 2]
    assert constant(single("Unsqueeze", "x a", constants={"a": [-1, 0]}), 1) == [0, 4]


def test_split_names_its_sizes() -> None:
    step = single("Split", "x", "y z", axis=-1, num_outputs=2, shape=(2, 3, 5))
    assert constant(step, 1) == [3, 2]
    assert step.attributes["axis"].value == 2
    assert "num_outputs" not in step.attributes


def test_a_split_drops_empty_parts() -> None:
    nodes = [node("Split", "x s", "a b c", axis=1), node("Concat", "c b a", "y", axis=1)]
    check(model(nodes, {"x": (2, 5)}, "y", {"s": [2, 0, 3]}), ["Split", "Concat"])


@pytest.mark.parametrize(
    ("constants", "expected"),
    [
        ({"b": [1], "e": [-1], "a": [-1]}, ([1], [3], [2], [1])),
        ({"b": [0, 1], "e": [2**40, 2**40]}, ([0, 1], [2, 3], [0, 1], [1, 1])),
        ({"b": [-1], "e": [-(2**40)], "a": [2], "s": [-1]}, ([3], [-(2**31)], [2], [-1])),
        ({"b": [-2], "e": [3], "a": [1], "s": [2]}, ([1], [3], [1], [2])),
        ({"b": [-9], "e": [-9], "a": [1], "s": [-1]}, ([0], [-(2**31)], [1], [-1])),
    ],
)
def test_slice_is_written_out(constants: dict[str, Any], expected: tuple[list[int], ...]) -> None:
    step = single("Slice", " ".join(["x", *constants]), constants=constants)
    assert tuple(constant(step, index) for index in range(1, 5)) == expected


def test_pad_pads_every_dimension() -> None:
    step = single("Pad", "x p _ a", constants={"p": [1, 2], "a": [-1]})
    assert constant(step, 1) == [0, 0, 1, 0, 0, 2]
    step = single("Pad", "x p c", constants={"p": [1, 0, 0, 0, 0, 2], "c": 3.0})
    assert constant(step, 2) == 3.0


def test_reshape_has_its_whole_shape() -> None:
    assert constant(single("Reshape", "x s", constants={"s": [0, -1]}), 1) == [2, 12]
    assert constant(single("Reshape", "x s", constants={"s": [4, 6]}, allowzero=1), 1) == [4, 6]


@pytest.mark.parametrize("indices", [[-1, 0], [[-3], [2]], -2])
def test_gather_has_no_negative_indices(indices: Any) -> None:
    step = single("Gather", "x i", axis=1, constants={"i": indices})
    assert np.min(constant(step, 1)) >= 0


def test_scatter_has_no_negative_indices() -> None:
    constants = {"i": [[-1, 0], [0, -2]], "u": np.ones((2, 4), np.float32)}
    assert constant(single("ScatterND", "x i u", constants=constants), 1) == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("constants", "attributes", "scales"),
    [
        ({"s": [1, 2, 6, 10]}, {"mode": "linear"}, [1, 1, 2, 2]),
        ({"s": [1, 2, 4, 10]}, {"mode": "linear"}, [1, 1, 4 / 3, 2]),
        ({"s": [6, 10]}, {"mode": "linear", "axes": [2, 3]}, [1, 1, 2, 2]),
        ({"s": [6, 10]}, {"axes": [2, 3], "coordinate_transformation_mode": "align_corners"}, [1, 1, 2, 2]),
    ],
)  # fmt: skip
def test_resize_has_scales(constants: dict[str, Any], attributes: dict[str, Any], scales: list[float]) -> None:
    step = single("Resize", "x _ _ s", shape=(1, 2, 3, 5), constants=constants, **attributes)
    assert constant(step, 2) == pytest.approx(scales)
    assert len(step.inputs) == 3


def test_a_scale_that_double_precision_takes_for_another_shape_stays_a_size() -> None:
    """f32(7/5) is below 7/5."""
    canonical = check(
        model([node("Resize", "x _ _ s", "y", mode="linear")], {"x": (1, 2, 3, 5)}, "y", {"s": [1, 2, 6, 7]})
    )
    (step,) = canonical.graph
    assert step.inputs[2] is None
    assert constant(step, 3) == [1, 2, 6, 7]


def test_resize_keeps_a_scale_that_is_no_ratio_of_sizes() -> None:
    step = single("Resize", "x r s", shape=(1, 2, 3, 5), mode="linear", constants={"r": [], "s": [1.0, 1.0, 1.5, 1.5]})
    assert constant(step, 2) == [1, 1, 1.5, 1.5]
    assert step.inputs[1] is None


def test_unused_outputs_go() -> None:
    step = single("MaxPool", "x", "y _", shape=(1, 2, 6, 6), kernel_shape=[2, 2])
    assert len(step.outputs) == 1
    canonical = check(model([node("MaxPool", "x", "y i", kernel_shape=[2, 2])], {"x": (1, 2, 6, 6)}, "y"), ["MaxPool"])
    assert len(canonical.graph[0].outputs) == 1


def test_sums_are_adds() -> None:
    inputs: dict[str, Any] = {"a": (1, 3), "b": (2, 1), "c": (1, 1)}
    check(model([node("Sum", "a b c", "y", name="sum")], inputs, "y"), ["Add", "Add"])
    check(model([node("Sum", "a b", "y")], {"a": (1, 3), "b": (2, 1)}, "y"), ["Add"])


def test_states_that_are_zero_anyway_go() -> None:
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> Array:
        return rng.normal(size=shape).astype(np.float32)

    constants = {
        "w": weights(1, 15, 4),
        "r": weights(1, 15, 5),
        "b": weights(1, 30),
        "l": np.full(1, 7, np.int32),
        "h": np.zeros((1, 1, 5), np.float32),
    }
    step = single(
        "GRU", "x w r b l h", "_ y", shape=(7, 1, 4), hidden_size=5, linear_before_reset=1, constants=constants
    )
    assert [value is None for value in step.inputs] == [False] * 4
    assert step.outputs[0].name
    constants["h"] += 1
    step = single(
        "GRU", "x w r b l h", "_ y", shape=(7, 1, 4), hidden_size=5, linear_before_reset=1, constants=constants
    )
    assert [value is None for value in step.inputs] == [False] * 4 + [True, False]


def test_exponents_are_real_numbers() -> None:
    step = single("Pow", "x n", "y", constants={"n": np.array([4], np.int32)})
    assert step.inputs[1] is not None
    assert step.inputs[1].dtype == ir.DataType.FLOAT
    original = model([node("Pow", "x n", "y")], {"x": (1, 3)}, "y", {"n": np.array([4], np.uint32)})
    assert op_types(canonicalize(load(original))) == ["Pow"]
