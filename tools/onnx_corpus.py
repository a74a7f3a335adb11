"""Small models of many kinds, for the fuzzer to damage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_RNG_SEED = 5


def _model(
    nodes: Sequence[onnx.NodeProto],
    shapes: Mapping[str, Sequence[int | str]],
    outputs: str,
    constants: Mapping[str, Any],
    *,
    opset: int = 17,
    domains: Sequence[str] = (),
    element: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "fuzzed",
        [helper.make_tensor_value_info(name, element, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info(name, element, None) for name in outputs.split()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _n(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    names = [["" if part == "_" else part for part in text.split()] for text in (inputs, outputs)]
    return helper.make_node(op, *names, name=f"{op}_{outputs.split()[0]}", **attributes)


def _w(*shape: int, dtype: Any = np.float32) -> Any:
    return np.random.default_rng(_RNG_SEED).normal(0, 0.5, shape).astype(dtype)


def _cnn(opset: int = 17) -> onnx.ModelProto:
    nodes = [
        _n("Conv", "x w b", "c", pads=[1, 1, 1, 1], kernel_shape=[3, 3]), _n("BatchNormalization", "c o o o o", "n"),
        _n("Relu", "n", "r"), _n("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
        _n("Conv", "p d", "e", group=4, kernel_shape=[3, 3], auto_pad="SAME_UPPER"), _n("Add", "e p", "a"),
        _n("GlobalAveragePool", "a", "g"), _n("Flatten", "g", "f"), _n("Gemm", "f k", "y", transB=1),
    ]  # fmt: skip
    constants = {"w": _w(4, 3, 3, 3), "b": _w(4), "o": np.ones(4, np.float32), "d": _w(4, 1, 3, 3), "k": _w(5, 4)}
    return _model(nodes, {"x": ("N", 3, 8, 8)}, "y", constants, opset=opset)


def _old() -> onnx.ModelProto:
    nodes = [
        _n("Upsample", "x s", "u", mode="nearest"), _n("Softmax", "u", "m", axis=1),
        _n("Clip", "m", "c", min=0.0, max=0.5), _n("Squeeze", "c", "q", axes=[0]),
        _n("ReduceMean", "q", "r", axes=[1]), _n("Unsqueeze", "r", "y", axes=[0]),
    ]  # fmt: skip
    return _model(nodes, {"x": (1, 2, 4, 4)}, "y", {"s": np.array([1, 1, 2, 2], np.float32)}, opset=9)


def _branches() -> onnx.ModelProto:
    nodes = [
        _n("Conv", "x w", "a", kernel_shape=[1, 1]), _n("Split", "a", "s t", axis=1), _n("Sigmoid", "s", "g"),
        _n("Mul", "s g", "m"), _n("Concat", "m t x", "c", axis=1), _n("Resize", "c _ z", "r", mode="linear"),
        _n("Transpose", "r", "p", perm=[0, 2, 3, 1]), _n("Slice", "p i j k", "q"), _n("Pad", "q l", "y"),
    ]  # fmt: skip
    constants = {
        "w": _w(4, 3, 1, 1), "z": np.array([1, 1, 2, 2], np.float32), "i": np.array([1]), "j": np.array([7]),
        "k": np.array([1]), "l": np.array([0, 1, 1, 0, 0, 1, 1, 0]),
    }  # fmt: skip
    return _model(nodes, {"x": (1, 3, 4, 4)}, "y", constants)


def _shapes() -> onnx.ModelProto:
    nodes = [
        _n("Shape", "x", "s"), _n("Gather", "s i", "n"), _n("Unsqueeze", "n o", "u"), _n("Concat", "u m", "t", axis=0),
        _n("Reshape", "x t", "r"), _n("Shape", "r", "v"), _n("ConstantOfShape", "v", "c"), _n("Add", "r c", "a"),
        _n("Range", "b d e", "f"), _n("Cast", "f", "h", to=1), _n("ReduceSum", "h", "k", keepdims=0),
        _n("Expand", "k v", "l"), _n("Mul", "a l", "y"),
    ]  # fmt: skip
    constants = {"i": 0, "o": np.array([0]), "m": np.array([-1]), "b": 1, "d": 4, "e": 1}
    return _model(nodes, {"x": ("N", 3, 4)}, "y", constants)


def _attention() -> onnx.ModelProto:
    nodes = [
        _n("LayerNormalization", "x g h", "n", axis=-1), _n("MatMul", "n w", "q"), _n("MatMul", "n v", "k"),
        _n("Transpose", "k", "t", perm=[0, 2, 1]), _n("MatMul", "q t", "s"), _n("Div", "s d", "e"),
        _n("Softmax", "e", "p"), _n("MatMul", "p n", "o"), _n("Add", "o x", "r"), _n("Erf", "r", "f"),
        _n("ReduceMean", "f", "y", axes=[1]),
    ]  # fmt: skip
    constants = {"g": _w(4), "h": _w(4), "w": _w(4, 4), "v": _w(4, 4), "d": np.float32(2)}
    return _model(nodes, {"x": (1, 3, 4)}, "y", constants)


def _recurrent(op: str, gates: int) -> onnx.ModelProto:
    nodes = [
        _n(op, "x w r b", "s h", hidden_size=3), _n("Squeeze", "s a", "q"), _n("Gather", "q i", "l", axis=0),
        _n("Gemm", "l k", "y"),
    ]  # fmt: skip
    constants = {
        "w": _w(1, gates * 3, 2), "r": _w(1, gates * 3, 3), "b": _w(1, gates * 6), "a": np.array([1]), "i": -1,
        "k": _w(3, 2),
    }  # fmt: skip
    return _model(nodes, {"x": (4, 1, 2)}, "y", constants)


def _control() -> onnx.ModelProto:
    yes = helper.make_graph([_n("Relu", "x", "t")], "yes", [], [helper.make_tensor_value_info("t", 1, None)])
    no = helper.make_graph([_n("Tanh", "x", "e")], "no", [], [helper.make_tensor_value_info("e", 1, None)])
    state = [helper.make_tensor_value_info(*given) for given in (("i", 7, []), ("c", 9, []), ("v", 1, None))]
    results = [helper.make_tensor_value_info(*given) for given in (("d", 9, []), ("w", 1, None), ("z", 1, None))]
    body = helper.make_graph(
        [_n("Identity", "c", "d"), _n("Add", "v h", "w"), _n("Identity", "w", "z")], "body", state, results
    )
    nodes = [
        _n("If", "yes", "h", then_branch=yes, else_branch=no), _n("Loop", "count yes h", "l scan", body=body),
        _n("Add", "l h", "y"),
    ]  # fmt: skip
    return _model(nodes, {"x": (1, 3)}, "y", {"yes": np.array(True), "count": np.array(2)})


def _pairs() -> onnx.ModelProto:
    def pair(source: str) -> list[onnx.NodeProto]:
        return [
            _n("QuantizeLinear", f"{source} s z", f"{source}q"), _n("DequantizeLinear", f"{source}q s z", f"{source}d"),
        ]  # fmt: skip

    nodes = [
        *pair("x"), _n("DequantizeLinear", "w t u", "v", axis=0), _n("Conv", "xd v", "c"), *pair("c"),
        _n("Relu", "cd", "r"), *pair("r"), _n("Identity", "rd", "y"),
    ]  # fmt: skip
    constants = {
        "s": np.float32(0.1), "z": np.uint8(0), "w": np.arange(18).reshape(2, 1, 3, 3).astype(np.int8),
        "t": np.array([0.1, 0.2], np.float32), "u": np.zeros(2, np.int8),
    }  # fmt: skip
    return _model(nodes, {"x": (1, 1, 5, 5)}, "y", constants)


def _integers() -> onnx.ModelProto:
    nodes = [
        _n("QuantizeLinear", "x s z", "q"), _n("QLinearConv", "q s z w t u s z b", "c"),
        _n("DequantizeLinear", "c s z", "d"), _n("DynamicQuantizeLinear", "d", "e f g"),
        _n("MatMulInteger", "e m g", "i"), _n("Cast", "i", "j", to=1), _n("Mul", "j f", "y"),
    ]  # fmt: skip
    constants = {
        "s": np.float32(0.1), "z": np.uint8(128), "w": np.arange(18).reshape(2, 1, 3, 3).astype(np.int8),
        "t": np.array([0.1, 0.2], np.float32), "u": np.zeros(2, np.int8), "b": np.arange(2).astype(np.int32),
        "m": np.arange(6).reshape(3, 2).astype(np.uint8),
    }  # fmt: skip
    return _model(nodes, {"x": (1, 1, 5, 5)}, "y", constants)


def _halves() -> onnx.ModelProto:
    nodes = [
        _n("Conv", "x w", "c"), _n("Cast", "c", "f", to=1), _n("HardSwish", "f", "h"), _n("ConvTranspose", "h v", "y"),
    ]  # fmt: skip
    constants = {"w": _w(2, 2, 1, 1, dtype=np.float16), "v": _w(2, 3, 2, 2)}
    return _model(nodes, {"x": (1, 2, 4, 4)}, "y", constants, element=TensorProto.FLOAT16)


def _function() -> onnx.ModelProto:
    proto = _model(
        [helper.make_node("Act", ["x", "k"], ["h"], "act", domain="mine"), _n("Exp", "h", "y")],
        {"x": (1, 4)},
        "y",
        {"k": np.float32(2)},
        domains=["mine"],
    )
    body = [_n("Mul", "a b", "m"), _n("Tanh", "m", "r")]
    proto.functions.append(helper.make_function("mine", "Act", ["a", "b"], ["r"], body, [helper.make_opsetid("", 17)]))
    return proto


_MAKERS: tuple[Callable[[], onnx.ModelProto], ...] = (
    _cnn, lambda: _cnn(11), lambda: _cnn(24), _old, _branches, _shapes, _attention, lambda: _recurrent("LSTM", 4),
    lambda: _recurrent("GRU", 3), _control, _pairs, _integers, _halves, _function,
)  # fmt: skip


def corpus() -> list[onnx.ModelProto]:
    """The models, all valid."""
    return [make() for make in _MAKERS]
