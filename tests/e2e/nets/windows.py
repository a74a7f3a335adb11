"""Convolutions in groups, pools and Resizes that the runtime has only in other forms."""

from __future__ import annotations

from typing import Any

import onnx

from tests.e2e.nets.build import Net, model


@model
def conv_groups() -> onnx.ModelProto:
    """ResNeXt: many small groups, then two large ones."""
    n = Net("conv_groups", x=(1, 16, 6, 6))
    h = n.op("Relu", n.op("Conv", "x", n.weights(32, 4, 3, 3), n.weights(32, spread=0.1), group=4, pads=[1] * 4))
    h = n.op("Conv", h, n.weights(40, 16, 3, 3), n.weights(40, spread=0.1), group=2, strides=[2, 2])
    return n.model(n.op("HardSwish", h))


@model
def transposed_conv_groups() -> onnx.ModelProto:
    n = Net("transposed_conv_groups", x=(1, 16, 4, 5))
    h = n.op("ConvTranspose", "x", n.weights(16, 16, 2, 2, spread=0.2), group=2, strides=[2, 2])
    return n.model(n.op("ConvTranspose", h, n.weights(32, 2, 3, 3, spread=0.3), group=32, pads=[1] * 4))


@model
def depth_multipliers() -> onnx.ModelProto:
    """As MobileNets of TensorFlow have them; one order goes into the weights behind, the other is restored."""
    n = Net("depth_multipliers", x=(1, 2, 8, 8))
    h = n.op("Relu", n.op("Conv", "x", n.weights(16, 1, 3, 3), n.weights(16, spread=0.1), group=2, pads=[1] * 4))
    h = n.op("Clip", n.op("Conv", h, n.weights(48, 1, 3, 3), group=16), n.const(0.0), n.const(6.0))
    h = n.op("Conv", n.op("MaxPool", h, kernel_shape=[2, 2]), n.weights(20, 48, 1, 1))
    h = n.op("Conv", h, n.weights(40, 1, 3, 3), group=20)
    return n.model(n.op("Mul", n.op("Sigmoid", h), h))


@model
def shuffled_channels() -> onnx.ModelProto:
    """ShuffleNet v2, two units."""
    n = Net("shuffled_channels", x=(1, 3, 8, 8))
    h = n.op("Relu", n.conv("x", 3, 16))
    for _ in range(2):
        left, right = n.op("Split", h, n.ints(8, 8), outputs=2, axis=1)
        right = n.op("Relu", n.conv(right, 8, 8, 1))
        right = n.op("Conv", right, n.weights(8, 1, 3, 3), group=8, pads=[1] * 4)
        h = n.op("Concat", left, n.op("Relu", n.conv(right, 8, 8, 1)), axis=1)
        h = n.op("Transpose", n.op("Reshape", h, n.ints(1, 2, 8, 8, 8)), perm=[0, 2, 1, 3, 4])
        h = n.op("Reshape", h, n.ints(1, -1, 8, 8))
    return n.model(n.op("Flatten", n.op("GlobalAveragePool", n.conv(h, 16, 10, 1))))


@model
def odd_max_pools() -> onnx.ModelProto:
    """Dilated (SPP with dilation), open at the end, and larger than the map."""
    n = Net("odd_max_pools", x=(1, 8, 9, 9))
    h = n.conv("x", 8, 16)
    spread = n.op("MaxPool", h, kernel_shape=[3, 3], dilations=[2, 3])
    parts = [
        n.op("MaxPool", h, kernel_shape=[3, 3], dilations=[2, 2], pads=[2] * 4, strides=[2, 2]),
        n.op("MaxPool", h, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        n.op("MaxPool", spread, kernel_shape=[3, 1], pads=[1, 0, 1, 0]),
    ]
    pooled = [n.op("GlobalMaxPool", part) for part in parts]
    tall = n.op("MaxPool", n.op("MaxPool", h, kernel_shape=[9, 1]), kernel_shape=[3, 3], pads=[1] * 4)
    return n.model(*parts, n.op("Concat", *pooled, axis=1), n.conv(tall, 16, 4, 1))


@model
def odd_average_pools() -> onnx.ModelProto:
    """Padding that does not count, open ends, dilation, windows larger than the map."""
    n = Net("odd_average_pools", x=(1, 8, 9, 8))
    h = n.op("Relu", n.conv("x", 8, 16))
    return n.model(
        n.op("AveragePool", h, kernel_shape=[3, 3], pads=[1] * 4),
        n.op("AveragePool", h, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        n.op("AveragePool", h, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, ceil_mode=1, count_include_pad=1),
        n.op("AveragePool", h, kernel_shape=[9, 9], pads=[2] * 4, strides=[4, 4]),
    )


@model
def pools_over_volumes() -> onnx.ModelProto:
    n = Net("pools_over_volumes", x=(1, 4, 4, 6, 6))
    h = n.op("MaxPool", "x", kernel_shape=[2, 2, 2], strides=[1, 2, 2])
    a = n.op("AveragePool", "x", kernel_shape=[2, 3, 3], strides=[2, 1, 1])
    return n.model(h, a, n.op("GlobalAveragePool", h), n.op("GlobalMaxPool", a))


@model
def norms_of_windows() -> onnx.ModelProto:
    n = Net("norms_of_windows", x=(1, 8, 8, 8))
    h = n.conv("x", 8, 16)
    return n.model(n.op("LpPool", h, kernel_shape=[2, 2], strides=[2, 2]), n.op("ReduceL2", h, n.ints(2, 3)))


def _resizes(name: str, *ways: dict[str, Any]) -> onnx.ModelProto:
    n = Net(name, x=(1, 3, 6, 5))
    h = n.conv("x", 3, 8)
    outputs = []
    for way in ways:
        sizes, rest = way.pop("sizes"), way
        outputs.append(n.conv(n.op("Resize", h, "", "", n.ints(1, 8, *sizes), **rest), 8, 4, 1))
    return n.model(*outputs)


@model
def nearest_resizes() -> onnx.ModelProto:
    """Factors of 3, less than one, odd ones, and elements the runtime would not pick."""
    ceil = {"mode": "nearest", "nearest_mode": "ceil", "coordinate_transformation_mode": "asymmetric"}
    nearest = {"mode": "nearest"}
    return _resizes(
        "nearest_resizes",
        {**nearest, "sizes": (18, 15)},
        {**ceil, "sizes": (3, 5)},
        {**ceil, "sizes": (11, 7)},
        {**nearest, "sizes": (12, 5)},
    )


@model
def smooth_resizes() -> onnx.ModelProto:
    """Linear where the runtime puts positions elsewhere, cubic, antialiased."""
    corner = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}
    return _resizes(
        "smooth_resizes",
        {**corner, "sizes": (12, 10)},
        {"mode": "cubic", "sizes": (12, 10)},
        {"mode": "linear", "antialias": 1, "sizes": (3, 4)},
        {"mode": "linear", "sizes": (9, 8)},
        {"mode": "linear", "coordinate_transformation_mode": "align_corners", "sizes": (11, 5)},
    )


@model
def long_resizes() -> onnx.ModelProto:
    """One dimension."""
    n = Net("long_resizes", x=(1, 4, 20))
    h = n.op("Conv", "x", n.weights(8, 4, 3), pads=[1, 1])
    up = n.op("Resize", h, "", n.const([1, 1, 2]), mode="linear")
    tripled = n.op("Resize", h, "", n.const([1, 1, 3]), mode="nearest")
    return n.model(up, tripled, n.op("MaxPool", h, kernel_shape=[3], dilations=[3], strides=[2]))
