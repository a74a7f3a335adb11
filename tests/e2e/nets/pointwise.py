"""Networks of functions, choices and normalizations that the runtime has under another name, or in parts only."""

from __future__ import annotations

import numpy as np
import onnx

from tests.e2e.nets.build import IMAGE, Net, model


@model
def functions_without_a_module() -> onnx.ModelProto:
    n = Net("functions_without_a_module", x=IMAGE)
    h = n.op("Softplus", n.conv("x", 3, 7))
    h = n.op("Selu", n.conv(h, 7, 6))
    return n.model(n.op("Erf", n.conv(h, 6, 5)), n.op("Softsign", h))


@model
def mish_spelled_out() -> onnx.ModelProto:
    n = Net("mish_spelled_out", x=IMAGE)
    h = n.conv("x", 3, 40)
    h = n.op("Mul", h, n.op("Tanh", n.op("Log", n.op("Add", n.op("Exp", h), n.const(1.0)))))
    return n.model(n.conv(h, 40, 5))


@model
def swishes_with_factors() -> onnx.ModelProto:
    n = Net("swishes_with_factors", x=IMAGE)
    h = n.conv("x", 3, 8)
    h = n.conv(n.op("Mul", h, n.op("Sigmoid", n.op("Mul", h, n.const(1.702)))), 8, 6)
    gate = n.op("Clip", n.op("Add", n.op("Mul", h, n.const(0.25)), n.const(0.4)), n.const(0.0), n.const(1.0))
    return n.model(n.op("Mul", gate, h))


@model
def logarithm_of_a_sigmoid() -> onnx.ModelProto:
    """One table in int8; in int16 two nodes for a few elements."""
    n = Net("logarithm_of_a_sigmoid", x=(1, 12))
    h = n.op("Gemm", "x", n.weights(20, 12), n.weights(20, spread=0.1), transB=1)
    return n.model(n.op("Log", n.op("Sigmoid", h)))


@model
def softplus_with_a_threshold() -> onnx.ModelProto:
    n = Net("softplus_with_a_threshold", x=IMAGE)
    h = n.conv("x", 3, 8)
    soft = n.op("Log", n.op("Add", n.op("Exp", h), n.const(1.0)))
    return n.model(n.conv(n.op("Where", n.op("Greater", h, n.const(1.5)), h, soft), 8, 5))


@model
def larger_and_smaller() -> onnx.ModelProto:
    n = Net("larger_and_smaller", x=IMAGE)
    a, b, c = (n.conv("x", 3, 7) for _ in range(3))
    return n.model(n.op("Max", a, b, c), n.op("Min", a, n.op("Tanh", b)), n.op("Mean", a, b, c))


@model
def larger_than_constants() -> onnx.ModelProto:
    n = Net("larger_than_constants", x=IMAGE)
    h = n.op("Max", n.conv("x", 3, 7), n.const(n.rng.standard_normal((1, 7, 8, 8))))
    return n.model(n.op("Min", n.op("Transpose", h, perm=[0, 2, 3, 1]), n.const(n.rng.standard_normal((1, 8, 8, 7)))))


@model
def larger_of_other_shapes() -> onnx.ModelProto:
    n = Net("larger_of_other_shapes", x=IMAGE)
    a = n.conv("x", 3, 7)
    h = n.op("Max", a, n.op("ReduceMean", a, n.ints(2, 3)))
    return n.model(n.op("Min", h, n.const(n.rng.standard_normal((7, 1, 1)))))


@model
def magnitudes_and_powers() -> onnx.ModelProto:
    n = Net("magnitudes_and_powers", x=IMAGE)
    a = n.conv("x", 3, 7)
    return n.model(n.op("Pow", a, n.const(2.0)), n.conv(n.op("Abs", a), 7, 4))


@model
def one_over_x() -> onnx.ModelProto:
    n = Net("one_over_x", x=IMAGE)
    h = n.op("Add", n.op("Sigmoid", n.conv("x", 3, 7)), n.const(0.5))
    return n.model(n.op("Mul", n.conv("x", 3, 7), n.op("Reciprocal", h)))


@model
def choices_by_constants() -> onnx.ModelProto:
    n = Net("choices_by_constants", x=IMAGE)
    a, b = n.conv("x", 3, 7), n.conv("x", 3, 7)
    mask = n.const(n.rng.random((1, 7, 8, 8)) > 0.5, np.bool_)
    return n.model(n.op("Where", mask, a, b), n.op("Where", mask, b, n.const(0.25)))


@model
def choices_by_comparison() -> onnx.ModelProto:
    """What is chosen hardly differs where the comparison turns over."""
    n = Net("choices_by_comparison", x=IMAGE)
    a, b = n.conv("x", 3, 7), n.conv("x", 3, 7)
    c = n.op("Add", b, n.op("Mul", n.op("Relu", n.op("Sub", a, b)), n.const(0.5)))
    return n.model(n.op("Where", n.op("Greater", a, b), c, b), n.op("Where", n.op("Less", a, b), a, b))


@model
def repeats() -> onnx.ModelProto:
    n = Net("repeats", x=IMAGE)
    a = n.conv("x", 3, 7)
    mean = n.op("ReduceMean", a, n.ints(2, 3))
    wide = n.op("Concat", a, n.op("Expand", mean, n.ints(1, 7, 8, 8)), axis=1)
    return n.model(n.conv(wide, 14, 5), n.op("Tile", mean, n.ints(1, 2, 3, 1)))


@model
def slopes_spelled_out() -> onnx.ModelProto:
    n = Net("slopes_spelled_out", x=IMAGE)
    a = n.conv("x", 3, 7)
    below = n.op("Mul", n.op("Relu", n.op("Neg", a)), n.const(n.rng.uniform(0.1, 0.5, (7, 1, 1))))
    h = n.conv(n.op("Sub", n.op("Relu", a), below), 7, 6)
    half = n.op("Mul", n.op("Sub", h, n.op("Abs", h)), n.const(0.1))
    return n.model(n.op("Add", n.op("Relu", h), half))


@model
def bounds_that_are_computed() -> onnx.ModelProto:
    n = Net("bounds_that_are_computed", x=IMAGE)
    a = n.conv("x", 3, 7)
    low = n.op("ReduceMean", n.conv("x", 3, 5), keepdims=0)
    return n.model(n.op("Clip", a, low))


@model
def running_sums() -> onnx.ModelProto:
    n = Net("running_sums", x=(1, 6, 10))
    return n.model(n.op("CumSum", n.op("Tanh", "x"), n.const(2, np.int64)), n.op("CumSum", "x", n.const(1, np.int64)))


@model
def picked_elements() -> onnx.ModelProto:
    n = Net("picked_elements", x=(1, 6, 10))
    h = n.op("Tanh", "x")
    flat = n.op("GatherElements", h, n.const(n.rng.integers(0, 10, (1, 6, 4)), np.int64), axis=2)
    return n.model(flat, n.op("Trilu", h, upper=0))


def _layer_norm(n: Net, x: str, axis: int, size: int, *ones: int) -> str:
    shape = (size, *ones)
    mean = n.op("ReduceMean", x, n.ints(axis))
    d = n.op("Sub", x, mean)
    variance = n.op("ReduceMean", n.op("Pow", d, n.const(2.0)), n.ints(axis))
    h = n.op("Div", d, n.op("Sqrt", n.op("Add", variance, n.const(1e-5))))
    h = n.op("Mul", h, n.const(n.rng.uniform(0.5, 1.5, shape)))
    return str(n.op("Add", h, n.const(n.rng.standard_normal(shape) * 0.2)))


@model
def layer_norm_of_a_sequence() -> onnx.ModelProto:
    n = Net("layer_norm_of_a_sequence", x=(1, 9, 12))
    h = n.op("MatMul", _layer_norm(n, "x", 2, 12), n.weights(12, 10, spread=0.3))
    return n.model(_layer_norm(n, h, 2, 10))


@model
def layer_norm_of_channels() -> onnx.ModelProto:
    n = Net("layer_norm_of_channels", x=IMAGE)
    return n.model(n.conv(_layer_norm(n, n.conv("x", 3, 16), 1, 16, 1, 1), 16, 5))


@model
def rms_and_lp_norms() -> onnx.ModelProto:
    n = Net("rms_and_lp_norms", x=(1, 9, 16))
    square = n.op("ReduceMean", n.op("Mul", "x", "x"), n.ints(2))
    root = n.op("Sqrt", n.op("Add", square, n.const(1e-6)))
    h = n.op("Mul", n.op("Mul", "x", n.op("Reciprocal", root)), n.const(n.rng.uniform(0.5, 1.5, 16)))
    h = n.op("MatMul", h, n.weights(16, 12, spread=0.3))
    norm = n.op("Clip", n.op("ReduceL2", h, n.ints(2)), n.const(1e-12))
    return n.model(n.op("Div", h, n.op("Expand", norm, n.ints(1, 9, 12))))


@model
def norms_over_channels() -> onnx.ModelProto:
    n = Net("norms_over_channels", x=IMAGE)
    a = n.conv("x", 3, 16)
    h = n.op("Div", a, n.op("Clip", n.op("ReduceL2", a, n.ints(1)), n.const(1e-12)))
    root = n.op("Sqrt", n.op("Add", n.op("ReduceMean", n.op("Mul", a, a), n.ints(1)), n.const(1e-6)))
    return n.model(n.conv(h, 16, 5), n.op("Div", a, root), n.op("MeanVarianceNormalization", a))


@model
def instance_and_group_norm() -> onnx.ModelProto:
    n = Net("instance_and_group_norm", x=IMAGE)
    h = n.op("InstanceNormalization", n.conv("x", 3, 8), n.const(n.rng.uniform(0.5, 1.5, 8)), n.weights(8, spread=0.2))
    h = n.op("Reshape", n.conv(h, 8, 8), n.ints(1, 2, -1))
    h = n.op("InstanceNormalization", h, n.const(np.ones(2)), n.const(np.zeros(2)))
    return n.model(n.op("Relu", n.op("Reshape", h, n.ints(1, 8, 8, 8))))


@model
def local_response_norm() -> onnx.ModelProto:
    n = Net("local_response_norm", x=IMAGE)
    return n.model(n.op("LRN", n.conv("x", 3, 8), size=5, alpha=0.5, beta=0.75, bias=1.0))
