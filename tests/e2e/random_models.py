"""Random small float networks, as hypothesis strategies: what users export, in unusual combinations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

UNARY = ("Relu", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "Elu", "HardSigmoid", "Neg", "Exp")


@dataclass
class Growing:
    """A network under construction, fed by hypothesis' choices."""

    draw: Any
    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    count: int = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind.lower()}_{self.count}"

    def constant(self, values: Any) -> str:
        name = self.name("constant")
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weights(self, *shape: int, scale: float | None = None) -> str:
        spread = scale if scale is not None else 1.0 / np.sqrt(max(int(np.prod(shape[1:])), 1))
        return self.constant((self.rng.standard_normal(shape) * spread).astype(np.float32))

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = self.name(kind)
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=f"node_{output}", **attributes))
        return output


@dataclass(frozen=True)
class Tensor:
    """A value of the network and its NCHW shape."""

    name: str
    channels: int
    height: int
    width: int


def _conv(net: Growing, x: Tensor) -> Tensor:
    filters = net.draw(st.sampled_from([1, 3, 8, 16, 17, 24, 33]))
    kernel = net.draw(st.sampled_from([k for k in (1, 2, 3, 5) if k <= min(x.height, x.width)]))
    pad = net.draw(st.integers(0, kernel // 2))
    stride = net.draw(st.sampled_from([1, 1, 2]))
    height, width = ((d + 2 * pad - kernel) // stride + 1 for d in (x.height, x.width))
    inputs = [x.name, net.weights(filters, x.channels, kernel, kernel)]
    if net.draw(st.booleans()):
        inputs.append(net.constant((net.rng.standard_normal(filters) * 0.3).astype(np.float32)))
    y = net.add("Conv", *inputs, kernel_shape=[kernel] * 2, pads=[pad] * 4, strides=[stride] * 2)
    return _activated(net, Tensor(y, filters, height, width))


def _depthwise(net: Growing, x: Tensor) -> Tensor:
    kernel = 3 if min(x.height, x.width) >= 3 else 1
    w = net.weights(x.channels, 1, kernel, kernel)
    b = net.constant((net.rng.standard_normal(x.channels) * 0.3).astype(np.float32))
    pads = [kernel // 2] * 4
    y = net.add("Conv", x.name, w, b, kernel_shape=[kernel] * 2, pads=pads, group=x.channels)
    return _activated(net, Tensor(y, x.channels, x.height, x.width))


def _activated(net: Growing, x: Tensor) -> Tensor:
    kind = net.draw(st.sampled_from(["", "Relu", "Clip"]))
    if kind == "Clip":
        limits = (net.constant(np.float32(0)), net.constant(np.float32(net.draw(st.sampled_from([1.0, 6.0])))))
        return Tensor(net.add("Clip", x.name, *limits), x.channels, x.height, x.width)
    return Tensor(net.add("Relu", x.name), x.channels, x.height, x.width) if kind else x


def _unary(net: Growing, x: Tensor) -> Tensor:
    kind = net.draw(st.sampled_from(UNARY))
    source = net.add("Tanh", x.name) if kind == "Exp" else x.name
    return Tensor(net.add(kind, source), x.channels, x.height, x.width)


def _pool(net: Growing, x: Tensor) -> Tensor:
    kind = net.draw(st.sampled_from(["MaxPool", "AveragePool"]))
    kernel = 2 if min(x.height, x.width) >= 2 else 1
    y = net.add(kind, x.name, kernel_shape=[kernel] * 2, strides=[kernel] * 2)
    return Tensor(y, x.channels, x.height // kernel, x.width // kernel)


def _binary_with_itself(net: Growing, x: Tensor) -> Tensor:
    kind = net.draw(st.sampled_from(["Add", "Sub", "Mul"]))
    other = net.draw(st.sampled_from([_depthwise, _unary]))(net, x)
    return Tensor(net.add(kind, x.name, other.name), x.channels, x.height, x.width)


def _scaled(net: Growing, x: Tensor) -> Tensor:
    kind = net.draw(st.sampled_from(["Add", "Mul", "Sub", "Div"]))
    values = net.rng.uniform(0.5, 2.0, (1, x.channels, 1, 1)).astype(np.float32)
    return Tensor(net.add(kind, x.name, net.constant(values)), x.channels, x.height, x.width)


def _concat(net: Growing, x: Tensor) -> Tensor:
    other = _conv_same(net, x)
    return Tensor(net.add("Concat", x.name, other.name, axis=1), x.channels + other.channels, x.height, x.width)


def _conv_same(net: Growing, x: Tensor) -> Tensor:
    filters = net.draw(st.sampled_from([4, 16, 20]))
    y = net.add("Conv", x.name, net.weights(filters, x.channels, 1, 1), kernel_shape=[1, 1])
    return Tensor(y, filters, x.height, x.width)


def _transposed_twice(net: Growing, x: Tensor) -> Tensor:
    y = net.add("Transpose", x.name, perm=[0, 2, 3, 1])
    y = net.add("Sigmoid", y)
    return Tensor(net.add("Transpose", y, perm=[0, 3, 1, 2]), x.channels, x.height, x.width)


def _sliced(net: Growing, x: Tensor) -> Tensor:
    stop = max(1, x.channels // 2)
    limits = (np.int64([v]) for v in (0, stop, 1))
    y = net.add("Slice", x.name, *(net.constant(v) for v in limits))
    return Tensor(y, stop, x.height, x.width)


STAGES = (_conv, _conv, _depthwise, _unary, _pool, _binary_with_itself, _scaled, _concat, _transposed_twice, _sliced)


@st.composite
def models(draw: Any, max_stages: int = 5) -> onnx.ModelProto:
    """A float network of one input and one output, opset 20, all shapes static."""
    net = Growing(draw, np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    start = Tensor("input", draw(st.sampled_from([1, 3, 16])), draw(st.integers(4, 9)), draw(st.integers(4, 9)))
    x = start
    for stage in draw(st.lists(st.sampled_from(STAGES), min_size=1, max_size=max_stages)):
        if x.channels * x.height * x.width <= 6000:
            x = stage(net, x)
    shape: list[int] = [1, x.channels, x.height, x.width]
    output = x.name
    if draw(st.booleans()):
        pooled = net.add("GlobalAveragePool", output)
        flat = net.add("Flatten", pooled)
        output = net.add("Gemm", flat, net.weights(10, x.channels), net.weights(10, scale=0.1), transB=1)
        shape = [1, 10]
        if draw(st.booleans()):
            output = net.add("Softmax", output, axis=-1)
    elif output == start.name:
        output = net.add("Relu", output)
    graph = helper.make_graph(
        net.nodes,
        "random",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, start.channels, start.height, start.width])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        net.constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
