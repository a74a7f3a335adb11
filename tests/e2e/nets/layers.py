"""Networks of layers and activations, at the ends of what they allow."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from tests.e2e.nets.build import IMAGE, MODELS, Make, Net, model


@model
def mlp() -> onnx.ModelProto:
    n = Net("mlp", x=(1, 12))
    h = n.op("Relu", n.op("Gemm", "x", n.weights(20, 12), n.weights(20, spread=0.1), transB=1))
    return n.model(n.op("Gemm", h, n.weights(5, 20), transB=1))


@model
def mlp_of_matmuls() -> onnx.ModelProto:
    n = Net("mlp_of_matmuls", x=(1, 12))
    h = n.op("Add", n.op("MatMul", "x", n.weights(12, 20, spread=0.3)), n.weights(20, spread=0.1))
    h = n.op("Tanh", h)
    return n.model(n.op("MatMul", h, n.weights(20, 7, spread=0.2)))


@model
def conv1d() -> onnx.ModelProto:
    n = Net("conv1d", x=(1, 4, 30))
    h = n.op("Relu", n.op("Conv", "x", n.weights(9, 4, 5), n.weights(9, spread=0.1), pads=[2, 2], strides=[2]))
    h = n.op("MaxPool", h, kernel_shape=[3], strides=[2], pads=[1, 1])
    h = n.op("Conv", h, n.weights(9, 1, 3), n.weights(9, spread=0.1), group=9, pads=[1, 1])
    h = n.op("AveragePool", h, kernel_shape=[2], strides=[2])
    return n.model(n.op("GlobalAveragePool", n.op("HardSwish", h)))


@model
def transposed_convolution() -> onnx.ModelProto:
    n = Net("transposed_convolution", x=(1, 6, 5, 4))
    h = n.op("Relu", n.conv("x", 6, 8))
    h = n.op("ConvTranspose", h, n.weights(8, 5, 3, 3, spread=0.2), strides=[2, 2], pads=[1] * 4, output_padding=[1, 1])
    return n.model(n.op("Relu", h))


@model
def transposed_convolution_1d() -> onnx.ModelProto:
    n = Net("transposed_convolution_1d", x=(1, 6, 9))
    w, b = n.weights(6, 5, 4, spread=0.2), n.weights(5, spread=0.1)
    return n.model(n.op("ConvTranspose", "x", w, b, strides=[2], pads=[1, 1]))


@model
def prelu_per_channel() -> onnx.ModelProto:
    n = Net("prelu_per_channel", x=IMAGE)
    slopes = n.const(n.rng.uniform(-0.3, 0.6, (7, 1, 1)))
    return n.model(n.conv(n.op("PRelu", n.conv("x", 3, 7), slopes), 7, 4))


@model
def prelu_with_one_slope() -> onnx.ModelProto:
    n = Net("prelu_with_one_slope", x=IMAGE)
    return n.model(n.op("PRelu", n.conv("x", 3, 7), n.const([0.25])))


@model
def clips_with_odd_bounds() -> onnx.ModelProto:
    n = Net("clips_with_odd_bounds", x=IMAGE)
    h = n.op("Clip", n.conv("x", 3, 7), n.const(-0.37), n.const(0.83))
    h = n.op("Clip", n.conv(h, 7, 7), n.const(0.11))
    return n.model(n.op("Clip", n.conv(h, 7, 7), "", n.const(0.2)))


@model
def relu6() -> onnx.ModelProto:
    n = Net("relu6", x=IMAGE)
    h = n.op("Clip", n.conv("x", 3, 7), n.const(0.0), n.const(6.0))
    return n.model(n.op("Clip", n.conv(h, 7, 7), n.const(0.0), n.const(6.0)))


def _activated(kind: str, **attributes: Any) -> Make:
    def make() -> onnx.ModelProto:
        n = Net(kind, x=IMAGE)
        h = n.op(kind, n.conv("x", 3, 7), **attributes)
        return n.model(n.op(kind, n.conv(h, 7, 5), **attributes))

    return make


for _kind, _options in (
    ("HardSwish", {}),
    ("Gelu", {}),
    ("Gelu", {"approximate": "tanh"}),
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("Elu", {"alpha": 0.7}),
    ("HardSigmoid", {"alpha": 0.3}),
    ("LeakyRelu", {"alpha": 0.2}),
    ("Neg", {}),
):
    MODELS[_kind.lower() + "".join(f"_{v}" for v in _options.values())] = _activated(_kind, **_options)


@model
def swish_spelled_out() -> onnx.ModelProto:
    n = Net("swish_spelled_out", x=IMAGE)
    h = n.conv("x", 3, 7)
    return n.model(n.conv(n.op("Mul", h, n.op("Sigmoid", h)), 7, 4))


@model
def gelu_spelled_out() -> onnx.ModelProto:
    n = Net("gelu_spelled_out", x=(1, 12))
    h = n.op("Gemm", "x", n.weights(20, 12), transB=1)
    e = n.op("Add", n.op("Erf", n.op("Div", h, n.const(np.sqrt(2)))), n.const(1.0))
    return n.model(n.op("Gemm", n.op("Mul", n.op("Mul", h, e), n.const(0.5)), n.weights(5, 20), transB=1))


@model
def logs_and_roots() -> onnx.ModelProto:
    n = Net("logs_and_roots", x=IMAGE)
    h = n.op("Add", n.op("Sigmoid", n.conv("x", 3, 7)), n.const(0.5))
    return n.model(n.op("Sqrt", h), n.op("Log", h))


@model
def exponentials() -> onnx.ModelProto:
    n = Net("exponentials", x=IMAGE)
    return n.model(n.conv(n.op("Exp", n.op("Tanh", n.conv("x", 3, 7))), 7, 4))


@model
def quotients() -> onnx.ModelProto:
    n = Net("quotients", x=IMAGE)
    h = n.op("Add", n.op("Sigmoid", n.conv("x", 3, 7)), n.const(0.5))
    return n.model(n.op("Div", n.conv("x", 3, 7), h))


@model
def batch_norms() -> onnx.ModelProto:
    n = Net("batch_norms", x=(1, 4, 6, 6))

    def norm(x: str, channels: int) -> str:
        spread = [n.const(n.rng.uniform(0.5, 1.5, channels)) for _ in range(2)]
        shift = [n.const(n.rng.standard_normal(channels) * 0.3) for _ in range(2)]
        return str(n.op("BatchNormalization", x, spread[0], shift[0], shift[1], spread[1]))

    return n.model(norm(n.op("Relu", n.conv(norm("x", 4), 4, 7)), 7))


@model
def dead_channels() -> onnx.ModelProto:
    n = Net("dead_channels", x=(1, 4, 6, 6))
    w = n.rng.standard_normal((20, 4, 3, 3)) * 0.2
    w[3] = w[17] = 0
    h = n.op("Relu", n.op("Conv", "x", n.const(w), n.const(np.zeros(20)), pads=[1] * 4))
    return n.model(n.conv(h, 20, 4))


@model
def large_bias_beside_small_weights() -> onnx.ModelProto:
    n = Net("large_bias_beside_small_weights", x=(1, 4, 6, 6))
    w = n.rng.standard_normal((20, 4, 3, 3)) * np.logspace(-4, 0, 20).reshape(20, 1, 1, 1)
    return n.model(n.op("Conv", "x", n.const(w), n.const(np.linspace(-8, 8, 20)), pads=[1] * 4))


@model
def convolution_without_bias_of_every_stride() -> onnx.ModelProto:
    n = Net("convolution_without_bias_of_every_stride", x=(1, 3, 15, 14))
    h = n.op("Conv", "x", n.weights(17, 3, 3, 5), strides=[2, 3], pads=[0, 2, 1, 2])
    h = n.op("Conv", h, n.weights(17, 1, 2, 2), group=17, dilations=[2, 2], pads=[1, 1, 1, 1])
    return n.model(n.op("Conv", h, n.weights(5, 17, 1, 1), auto_pad="SAME_UPPER", strides=[2, 2]))


@model
def kernel_longer_than_the_input() -> onnx.ModelProto:
    n = Net("kernel_longer_than_the_input", x=(1, 3, 4, 2))
    return n.model(n.op("Conv", "x", n.weights(6, 3, 5, 5), pads=[2] * 4, strides=[2, 2]))


@model
def pools() -> onnx.ModelProto:
    n = Net("pools", x=(1, 4, 9, 9))
    h = n.op("MaxPool", n.conv("x", 4, 8), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, ceil_mode=1)
    h = n.op("AveragePool", h, kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=1)
    return n.model(n.op("MaxPool", h, kernel_shape=[2, 3], auto_pad="SAME_LOWER"))


@model
def norm_with_default_epsilon() -> onnx.ModelProto:
    n = Net("norm_with_default_epsilon", x=(1, 5, 8))
    return n.model(n.op("LayerNormalization", "x", n.const(n.rng.uniform(0.5, 1.5, 8)), n.weights(8, spread=0.2)))
