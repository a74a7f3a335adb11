"""Networks whose channels may be scaled, and the tools the tests of tuning share."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.graph.canonical import canonicalize
from tinsmith.graph.network import network
from tinsmith.ops.floatnode import Array, Network


def chain(rng: np.random.Generator, spread: float = 1.0, activation: str = "Relu", shape: int = 8) -> onnx.ModelProto:
    """Conv, activation, depthwise Conv, activation, Conv, GlobalAveragePool, Gemm; channels differ by ``spread``."""
    scale = spread ** rng.uniform(-1, 1, 12)

    def normal(*extents: int) -> Array:
        return rng.standard_normal(extents)

    constants = {
        "w1": normal(12, 3, 3, 3) / 5 * scale[:, None, None, None],
        "b1": normal(12) / 5 * scale,
        "w2": normal(12, 1, 3, 3) / 3,
        "b2": normal(12) / 5 * scale,
        "w3": normal(16, 12, 1, 1) / 4 / scale[None, :, None, None],
        "b3": normal(16) / 5,
        "w4": normal(5, 16) / 4,
        "b4": normal(5) / 5,
        "zero": np.zeros(()),
        "six": np.full((), 6.0),
    }
    bounds = ["zero", "six"] if activation == "Clip" else []
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="first", pads=[1] * 4, kernel_shape=[3, 3]),
        helper.make_node(activation, ["c1", *bounds], ["a1"], name="act1"),
        helper.make_node("Conv", ["a1", "w2", "b2"], ["c2"], name="depthwise", pads=[1] * 4, group=12),
        helper.make_node(activation, ["c2", *bounds], ["a2"], name="act2"),
        helper.make_node("Conv", ["a2", "w3", "b3"], ["c3"], name="pointwise", kernel_shape=[1, 1]),
        helper.make_node("GlobalAveragePool", ["c3"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "w4", "b4"], ["y"], name="classes", transB=1),
    ]
    return model(nodes, {"x": (1, 3, shape, shape)}, {"y": (1, 5)}, constants)


def model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    constants: dict[str, Array],
) -> onnx.ModelProto:
    """An ONNX model of float32 values."""

    def info(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "net",
        [info(*item) for item in inputs.items()],
        [info(*item) for item in outputs.items()],
        [
            numpy_helper.from_array(
                np.asarray(array, np.int64 if np.asarray(array).dtype.kind == "i" else np.float32), name
            )
            for name, array in constants.items()
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    made.ir_version = 9
    return made


def canonical(proto: onnx.ModelProto) -> tuple[ir.Model, Network]:
    """The canonical model and its network."""
    found = canonicalize(ir.from_proto(proto))
    return found, network(found)


def run(net: Network, sample: dict[str, Array]) -> dict[str, Array]:
    """The network's outputs in ONNX Runtime."""
    return FloatNodes(net.nodes, net.outputs)(sample)


def samples(net: Network, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Normal noise for every input."""
    rng = np.random.default_rng(seed)
    return [{o.name: rng.standard_normal(o.shape).astype(np.float32) for o in net.inputs} for _ in range(count)]
