"""Odd models: each becomes a program, or ends in one error that names what and the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import tinsmith
from tests.graph.models import model, node, value
from tinsmith.calibrate import input_specs
from tinsmith.errors import ModelError, TinsmithError
from tinsmith.graph import canonicalize
from tinsmith.importers import load

W = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
INF = np.array(np.inf, np.float32)
CONV = [node("Conv", "x w", "c"), node("Relu", "c", "y")]


def quantized(proto: onnx.ModelProto, **options: Any) -> tinsmith.Quantized:
    specs = input_specs(canonicalize(load(proto), **options))
    rng = np.random.default_rng(0)
    data = [{spec.name: rng.normal(size=spec.shape).astype(spec.dtype) for spec in specs}]
    return tinsmith.quantize(proto, data, "esp32p4", **options)


def typed(element: int, *nodes: onnx.NodeProto, elements: Any = (1, 0, 1)) -> onnx.ModelProto:
    """A model of float32 ends with a constant w of any type."""
    proto = model(list(nodes), {"x": (1, 3)}, "y")
    if element:
        proto.graph.initializer.append(helper.make_tensor("w", element, [3], elements))
    else:
        proto.graph.initializer.add(name="w", dims=[3])
    return proto


@pytest.mark.parametrize(
    "element",
    [
        *(TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE, TensorProto.FLOAT8E4M3FN),
        *(TensorProto.FLOAT8E5M2, TensorProto.INT4, TensorProto.UINT4, TensorProto.INT8, TensorProto.INT64),
        *(TensorProto.BOOL, TensorProto.UINT16),
    ],
)
def test_constants_of_any_type_that_are_cast(element: int) -> None:
    found = quantized(typed(element, node("Cast", "w", "f", to=1), node("Mul", "x f", "y")))
    (constant,) = [operand.const for operand in found.network.nodes[0].inputs if operand and operand.const is not None]
    assert constant.reshape(-1).tolist() == [1, 0, 1]


@pytest.mark.parametrize("element", [TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE])
def test_floats_of_other_widths(element: int) -> None:
    ends = [helper.make_tensor_value_info(name, element, (1, 3)) for name in "xy"]
    proto = model([node("Mul", "x w", "y")], ends[:1], ends[1:], opset=21)
    proto.graph.initializer.append(helper.make_tensor("w", element, [3], [1.0, 2.0, 3.0]))
    assert quantized(proto).network.inputs[0].dtype == np.float32


GOOD: dict[str, tuple[list[onnx.NodeProto], Any, dict[str, Any]]] = {
    "rank 0": ([node("Exp", "x", "y")], (), {}),
    "rank 1": ([node("Exp", "x", "y")], (5,), {}),
    "rank 6": ([node("Exp", "x", "y")], (1, 2, 2, 2, 2, 2), {}),
    "a Clip without bounds": ([CONV[0], node("Clip", "c n p", "h"), node("Tanh", "h", "y")], (1, 3, 8, 8),
                              {"w": W, "n": -INF, "p": INF}),
    "nothing to add": ([node("Concat", "x w", "h", axis=1), node("Exp", "h", "y")], (1, 3),
                       {"w": np.zeros((1, 0), np.float32)}),
    "indices found in a constant": (
        [node("NonZero", "k", "n"), node("Cast", "n", "f", to=1), node("Transpose", "f", "t"),
         node("MatMul", "x t", "y")],
        (1, 3), {"k": np.array([1, 0, 2, 3], np.float32)}),
    "a constant choice": ([node("Where", "c a b", "w"), node("Mul", "x w", "y")], (1, 3),
                          {"c": np.array([True, False, True]), "a": 2.0, "b": 3.0}),
    "computed sizes": (
        [node("Shape", "x", "s"), node("Slice", "s a b", "hw"), node("Mul", "hw two", "d"),
         node("Slice", "s z a", "nc"), node("Concat", "nc d", "t", axis=0),
         node("Resize", "x _ _ t", "y", mode="nearest", coordinate_transformation_mode="asymmetric",
              nearest_mode="floor")],
        ("N", 3, 4, 4), {"a": [2], "b": [4], "two": [2, 2], "z": [0]}),
    "expanded to a shape": ([node("Shape", "x", "s"), node("Expand", "k s", "e"), node("Add", "x e", "y")], ("N", 3, 4),
                            {"k": np.ones((1, 3, 1), np.float32)}),
}  # fmt: skip


@pytest.mark.parametrize("kind", GOOD)
def test_odd_and_right(kind: str) -> None:
    nodes, shape, constants = GOOD[kind]
    quantized(model(nodes, {"x": shape}, "y", constants))


BAD: dict[str, tuple[onnx.ModelProto, str]] = {
    "a batch in the file": (
        model(CONV, {"x": (8, 3, 8, 8)}, "y", {"w": W}),
        r"Conv 'Conv_0': .*first dimension, 8, is a batch: --input-shape x=1,3,8,8; or export it",
    ),
    "an opset of the future": (
        model(CONV, {"x": (1, 3, 8, 8)}, "y", {"w": W}, opset=99),
        r"uses ONNX opset 99; 1 to \d+ are known here\. Export it with opset 24",
    ),
    "an optimized model": (
        model([node("FusedConv", "x w", "y", domain="com.microsoft")], {"x": (1, 3, 8, 8)}, "y", {"w": W},
              domains=["com.microsoft"]),
        r"FusedConv of the operator set 'com\.microsoft' .*as it was before ONNX Runtime optimized it",
    ),
    "an operator of nobody": (
        model([node("X", "x", "y", domain="mine")], {"x": (1, 3)}, "y", domains=["mine"]),
        r"'X_0': X of the operator set 'mine' is not part of ONNX.*--outputs",
    ),
    "float8 where there is none": (typed(TensorProto.FLOAT8E4M3FN, node("Mul", "x w", "y")), "Mul_0.*float8e4m3fn"),
    "more than a machine holds": (
        model([node("Exp", "x", "y")], {"x": (1, 1 << 40)}, "y"), r"'x' would have \d+ elements.*--input-shape"),
    "an output twice": (model([node("Exp", "x", "y")], {"x": (1, 3)}, "y y"), "the output 'y' is listed twice"),
    "an output that comes in": (model([node("Exp", "x", "y")], {"x": (1, 3)}, "y x"), "the output is an input"),
    "an output that is constant": (
        model([node("Exp", "x", "y")], {"x": (1, 3)}, "y w", {"w": W}), "the output is a constant"),
    "an open length": (model([node("Exp", "x", "y")], {"x": ("L",)}, "y"), r"\(L\) is open.*--input-shape x=96"),
    "words": (
        model([node("StringNormalizer", "x", "y")],
              [helper.make_tensor_value_info("x", TensorProto.STRING, (3,))],
              [helper.make_tensor_value_info("y", TensorProto.STRING, None)]),
        "StringNormalizer 'StringNormalizer_0': the runtime has no such operator"),
    "an attribute of another type": (
        model([node("Softmax", "x", "y", axis="last")], {"x": (1, 3)}, "y"), r"the model is invalid: .*axis"),
    "an input that is required": (
        model([node("Conv", "x", "y")], {"x": (1, 3, 8, 8)}, "y"), "the model is invalid: .*Conv"),
    "a count without end": (
        model([node("Shape", "x", "s"), node("Gather", "s i", "d"), node("Range", "b d e", "r"),
               node("Cast", "r", "f", to=1), node("ReduceSum", "f", "k", keepdims=0), node("Mul", "x k", "y")],
              {"x": (1, 3)}, "y", {"b": -(1 << 62), "i": 1, "e": 1}),
        r"Range 'Range_2': 'r' would have \d+ elements|constants cannot be folded"),
    "a window larger than the data": (
        model(CONV, {"x": (1, 3, 8, 1)}, "y", {"w": W}), r"Conv 'Conv_0': 'c' would have the shape 1×4×6×-1\."),
    "an index that is not there": (
        model([node("Gather", "x i", "y", axis=1)], {"x": (1, 3)}, "y", {"i": 7}),
        r"Gather 'Gather_0': it takes elements 7 to 7 of 3\."),
    "shapes that do not go together": (
        model([node("Add", "x w", "y")], {"x": (1, 3, 8, 8)}, "y", {"w": W}), "x 1×3×8×8|contradict each other"),
    "data of no type": (typed(0, node("Mul", "x w", "y"), elements=()), "."),
    "a node without results": (
        model([node("Constant", "", "", value=onnx.numpy_helper.from_array(W)), *CONV],
              {"x": (1, 3, 8, 8)}, "y", {"w": W}),
        "the model is invalid|Constant"),
    "a function that calls itself": (model([node("F", "x", "y", domain="mine")], {"x": (1, 3)}, "y", domains=["mine"]),
                                     "the model is invalid"),
}  # fmt: skip
BAD["a function that calls itself"][0].functions.append(
    helper.make_function(
        "mine", "F", ["a"], ["b"], [node("F", "a", "b", domain="mine")],
        [helper.make_opsetid("", 24), helper.make_opsetid("mine", 1)],
    )
)  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_odd_and_wrong(kind: str) -> None:
    proto, message = BAD[kind]
    with pytest.raises(TinsmithError, match=rf"(?s){message}"):
        quantized(proto)


def test_calls_with_other_numbers_of_values_than_the_function_has() -> None:
    proto = model([node("F", "x x x", "y", domain="mine")], {"x": (1, 3)}, "y", domains=["mine"])
    proto.functions.append(
        helper.make_function("mine", "F", ["a"], ["b"], [node("Exp", "a", "b")], [helper.make_opsetid("", 24)])
    )
    with pytest.raises(ModelError, match=r"functions cannot be inlined: Input mismatch"):
        quantized(proto)


def test_operators_of_long_ago() -> None:
    nodes = [
        node("BatchNormalization", "x o o o o", "b", is_test=1), node("Add", "b p", "a", broadcast=1, axis=1),
        node("Relu", "a", "y"),
    ]  # fmt: skip
    ones = np.ones(3, np.float32)
    found = quantized(model(nodes, {"x": (1, 3, 4, 4)}, "y", {"o": ones, "p": ones * 2}, opset=6, ir_version=3))
    x = np.random.default_rng(1).uniform(-2, 2, size=(1, 3, 4, 4)).astype(np.float32)
    scores = tinsmith.dequantize(found.program, found.simulate(x))["y"]
    step = 2.0 ** found.formats.values["y"].exponents[0]
    exact = np.minimum(np.maximum((x - 1) / np.sqrt(1 + 1e-5) + 3, 0), 127 * step)
    assert np.abs(scores - exact).max() <= 1.5 * step


def test_names_survive_all_files_and_come_back(tmp_path: Path) -> None:
    source, weights, between, result = "in put:0/ä", "重み" * 30, "a/b:0 " + "n" * 400, 'out "q" \\ %s {0}'
    nodes = [
        helper.make_node("Conv", [source, weights], [between], name="node/1:0 ü" * 40),
        helper.make_node("Tanh", [between], [result], name='%s {x} "'),
    ]
    proto = model(nodes, [value(source, (1, 3, 8, 8))], [value(result, None)], {weights: W})
    found = quantized(proto)
    saved = found.save(tmp_path / "каталог с пробелами", "модель ü")
    program = tinsmith.read(saved.espdl)
    assert [item.name for item in (*program.inputs, *program.outputs)] == [source, result]
    assert {"node/1:0 ü" * 40, '%s {x} "'} <= {step.name for step in program.nodes}
    assert between in program.values
    import json

    assert between in json.dumps(json.loads(saved.json.read_text(encoding="utf-8")), ensure_ascii=False)
    assert result in saved.info.read_text(encoding="utf-8")
    x = {source: np.ones((1, 3, 8, 8), np.float32)}
    assert np.array_equal(tinsmith.simulate(program, x)[result], found.simulate(x)[result])


def external(folder: Path, **entries: Any) -> Path:
    """A model whose weights are in another file, with other words about where."""
    proto = model([node("Add", "x w", "y")], {"x": (64,)}, "y")
    tensor = proto.graph.initializer.add(name="w", data_type=1, dims=[64], data_location=1)
    (folder / "w.bin").write_bytes(np.ones(64, np.float32).tobytes())
    for key, text in ({"location": "w.bin", "offset": 0, "length": 256} | entries).items():
        tensor.external_data.add(key=key, value=str(text))
    path = folder / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "absent.bin"}, "the data of 'w' cannot be read from absent.bin"),
        ({"location": "/etc/passwd"}, "the data of 'w' is outside the model's folder"),
        ({"location": "a/../../w.bin"}, "the data of 'w' is outside the model's folder"),
        ({"location": "."}, "the data of 'w' cannot be read"),
        ({"location": ""}, "'w'|the data"),
        ({"offset": 4}, "the data of 'w' cannot be read"),
        ({"offset": -4}, "invalid|'w'"),
        ({"offset": 1 << 62}, "the data of 'w' cannot be read"),
        ({"length": 1 << 62}, "the data of 'w'"),
        ({"length": 8}, "the data of 'w' take 256 bytes by their shape, 8 by their entry"),
        ({"offset": "much"}, "the model is invalid"),
    ],
)
def test_data_elsewhere(entries: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        quantized_from(external(tmp_path, **entries))


def test_data_elsewhere_that_are_right(tmp_path: Path) -> None:
    quantized_from(external(tmp_path))


def quantized_from(path: Path) -> None:
    canonicalize(load(path))
