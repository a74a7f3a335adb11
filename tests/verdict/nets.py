"""Small models that deploy, and such that do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper

from tests.graph.models import model, node, value

MAP = (1, 4, 8, 8)


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def foreign(op_type: str, takes: str, gives: str, name: str) -> onnx.NodeProto:
    """A node of somebody's own operator set."""
    made = node(op_type, takes, gives, name)
    made.domain = "my.ops"
    return made


def two_unsupported() -> onnx.ModelProto:
    """conv → det; conv → relu → sample."""
    return model(
        [
            node("Conv", "x w", "a", "conv"),
            node("Det", "a", "d", "det"),
            node("Relu", "a", "r", "relu"),
            node("GridSample", "r grid", "y", "sample"),
        ],
        {"x": MAP},
        "y d",
        {"w": weights(4, 4, 1, 1), "grid": np.zeros((1, 8, 8, 2), np.float32)},
    )


def two_foreign(*shapes: str) -> onnx.ModelProto:
    """conv → magic → relu → more → sigmoid → det; the file says the shapes of the values named."""
    net = model(
        [
            node("Conv", "x w", "a", "conv"),
            foreign("Magic", "a", "b", "magic"),
            node("Relu", "b", "c", "relu"),
            foreign("More", "c", "d", "more"),
            node("Sigmoid", "d", "e", "sigmoid"),
            node("Det", "e", "y", "det"),
        ],
        {"x": MAP},
        "y",
        {"w": weights(4, 4, 1, 1)},
        domains=["my.ops"],
    )
    net.graph.value_info.extend(value(name, ("N", *MAP[1:])) for name in shapes)
    return net


def branching() -> onnx.ModelProto:
    """conv → If on the largest element → sigmoid."""

    def branch(op_type: str) -> onnx.GraphProto:
        inner = node(op_type, "a", f"{op_type}_y", f"{op_type}_inside")
        return helper.make_graph([inner], op_type, [], [value(f"{op_type}_y", MAP)])

    decision = helper.make_node(
        "If", ["c"], ["b"], name="if", then_branch=branch("Relu"), else_branch=branch("Sigmoid")
    )
    return model(
        [
            node("Conv", "x w", "a", "conv"),
            node("ReduceMax", "a", "m", "largest", keepdims=0),
            node("Greater", "m zero", "c", "greater"),
            decision,
            node("Sigmoid", "b", "y", "sigmoid"),
        ],
        {"x": MAP},
        "y",
        {"w": weights(4, 4, 1, 1), "zero": 0.0},
    )


def softmax_of_large(**names: Any) -> onnx.ModelProto:
    """Gemm with a bias so large that the exponent Softmax needs is beyond its kernel's."""
    return model(
        [node("Gemm", "x w b", "a", "gemm"), node("Softmax", "a", "y", "softmax")],
        {"x": (1, 64)},
        "y",
        {"w": weights(64, 8), "b": weights(8) * 1e6},
        **names,
    )


def exponentials_of_large() -> onnx.ModelProto:
    """The same with ReduceLogSumExp, whose int16 kernel overflows as well."""
    return model(
        [node("Gemm", "x w b", "a", "gemm"), node("ReduceLogSumExp", "a axes", "y", "sum")],
        {"x": (1, 64)},
        "y",
        {"w": weights(64, 8), "b": weights(8) * 1e6, "axes": np.array([1])},
    )


def picking(*before: onnx.NodeProto) -> onnx.ModelProto:
    """conv → … → sigmoid → the five largest."""
    nodes = [
        node("Conv", "x w", "a", "conv"),
        *before,
        node("Reshape", f"{before[-1].output[0] if before else 'a'} flat", "b", "reshape"),
        node("Sigmoid", "b", "c", "sigmoid"),
        node("TopK", "c five", "y places", "top"),
    ]
    constants = {"w": weights(8, 4, 1, 1), "v": weights(8, 8, 1, 1), "flat": np.array([1, -1]), "five": np.array([5])}
    net = model(nodes, {"x": MAP}, "y places", constants)
    net.graph.output[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return net


def wide_conv(channels: int) -> onnx.ModelProto:
    """Sums of ``channels`` products, half with weight 1, half with weight -1."""
    signs = np.ones((16, channels, 1, 1), np.float32)
    signs[:, channels // 2 :] = -1
    return model([node("Conv", "x w", "y", "wide")], {"x": (1, channels, 2, 2)}, "y", {"w": signs})
