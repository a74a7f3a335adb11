from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.graph.models import check, model, node, op_types, value
from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph import canonicalize
from tinsmith.graph.edit import shape_of
from tinsmith.importers import load


def test_large_constants_are_folded() -> None:
    nodes = [node("Transpose", "w", "v", perm=[1, 0]), node("Expand", "b", "e"), node("Gemm", "x v e", "y")]
    nodes[1].input.append("shape")
    constants = {"w": np.ones((300, 400), np.float32), "b": np.ones(1, np.float32), "shape": [300]}
    canonical = check(model(nodes, {"x": (1, 400)}, "y", constants), ["Gemm"])
    assert {shape_of(item) for item in canonical.graph.initializers.values()} == {(400, 300), (300,)}


def test_several_results_of_a_constant_are_folded() -> None:
    nodes = [node("Split", "w", "a b", axis=0, num_outputs=2), node("Mul", "x a", "m"), node("Div", "m b", "y")]
    check(model(nodes, {"x": (2, 4)}, "y", {"w": np.arange(1, 17, dtype=np.float32).reshape(4, 4)}), ["Mul", "Div"])


def test_random_constants_are_not_folded() -> None:
    nodes = [node("RandomNormal", "", "r", shape=[3]), node("Add", "x r", "y")]
    assert op_types(canonicalize(load(model(nodes, {"x": (3,)}, "y")))) == ["RandomNormal", "Add"]


def test_arithmetic_with_shapes() -> None:
    nodes = [
        node("Shape", "x", "s"), node("Cast", "s", "f", to=1), node("Mul", "f half", "h"), node("Floor", "h", "g"),
        node("Cast", "g", "i", to=7), node("Slice", "x start i", "y"),
    ]  # fmt: skip
    original = model(nodes, {"x": (6, 8)}, "y", {"half": 0.5, "start": [0, 0]})
    assert shape_of(check(original, ["Slice"]).graph.outputs[0]) == (3, 4)


@pytest.mark.parametrize("op", ["NonZero", "Unique"])
def test_shapes_that_depend_on_the_data_are_refused_by_name(op: str) -> None:
    nodes = [node(op, "x", "n", "the node"), node("Cast", "n", "y", to=1)]
    with pytest.raises(UnsupportedError, match=f"{op} 'the node': the shape of '.' depends on what the network is fed"):
        canonicalize(load(model(nodes, {"x": (2, 3)}, "y")))


@pytest.mark.parametrize("which", ["starts", "ends", "axes", "steps"])
def test_parts_that_depend_on_the_data_are_refused_by_name(which: str) -> None:
    given = {"starts": [0], "ends": [2], "axes": [1], "steps": [1]}
    inputs = [value("x", (1, 4)), value(which, (1,), np.int64)]
    constants = {name: data for name, data in given.items() if name != which}
    original = model([node("Slice", "x starts ends axes steps", "y", "part")], inputs, "y", constants)
    with pytest.raises(ModelError, match=r"Slice 'part': the shape of 'y' depends|does not run with these inputs"):
        canonicalize(load(original))


def test_a_shape_that_is_an_input_is_refused() -> None:
    inputs = [value("x", (2, 3)), value("s", (2,), np.int64)]
    with pytest.raises(ModelError, match=r"does not run with these inputs|depends on what the network is fed"):
        canonicalize(load(model([node("Reshape", "x s", "y")], inputs, "y")))


@pytest.mark.parametrize("sizes", [[1, 1 << 40], [1 << 20, 1 << 20], [1, 1 << 29]])
def test_what_no_machine_holds_is_refused_before_it_is_made(sizes: list[int]) -> None:
    nodes = [node("ConstantOfShape", "s", "c", "giant"), node("Add", "x c", "y")]
    with pytest.raises(ModelError, match=r"ConstantOfShape 'giant': 'c' would have \d+ elements"):
        canonicalize(load(model(nodes, {"x": (1, 1)}, "y", {"s": sizes})))
    nodes = [node("Expand", "c s", "e", "giant"), node("Add", "x e", "y")]
    with pytest.raises(ModelError, match=r"Expand 'giant': 'e' would have \d+ elements"):
        canonicalize(load(model(nodes, {"x": (1, 1)}, "y", {"s": sizes, "c": 1.0})))
    with pytest.raises(ModelError, match=r"'x' would have \d+ elements"):
        canonicalize(load(model([node("Relu", "x", "y")], {"x": sizes}, "y")))


def test_a_result_that_is_larger_than_its_sources_stays_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinsmith.graph.fold._LARGEST_FOLD", 1000)
    nodes = [node("Expand", "c shape", "e"), node("Add", "x e", "y")]
    original = model(nodes, {"x": (40, 40)}, "y", {"c": 2.0, "shape": [40, 40]})
    assert op_types(canonicalize(load(original))) == ["Expand", "Add"]


@pytest.mark.skipif(onnx.defs.onnx_opset_version() < 25, reason="this ONNX has no int2")
def test_types_that_an_operator_lacks_are_named() -> None:
    to_integers = node("Cast", "x", "y", "narrow", to=onnx.TensorProto.INT2)
    outputs = [helper.make_tensor_value_info("y", onnx.TensorProto.INT2, (1, 3))]
    with pytest.raises(UnsupportedError, match="'narrow': Cast of ONNX opset 24 does not know int2"):
        canonicalize(load(model([to_integers], {"x": (1, 3)}, outputs, opset=25)))
