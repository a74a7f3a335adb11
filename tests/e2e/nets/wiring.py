"""Networks that branch, join and share: values read twice, several inputs and outputs, constants as operands."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from tests.e2e.nets.build import IMAGE, Net, model


@model
def value_added_to_itself() -> onnx.ModelProto:
    n = Net("value_added_to_itself", x=IMAGE)
    h = n.conv("x", 3, 8)
    return n.model(n.op("Relu", n.op("Add", h, h)))


@model
def value_times_itself() -> onnx.ModelProto:
    n = Net("value_times_itself", x=IMAGE)
    h = n.conv("x", 3, 8)
    return n.model(n.op("Mul", h, h))


@model
def input_added_to_itself() -> onnx.ModelProto:
    n = Net("input_added_to_itself", x=IMAGE)
    return n.model(n.op("Add", "x", "x"))


@model
def output_that_is_consumed() -> onnx.ModelProto:
    n = Net("output_that_is_consumed", x=IMAGE)
    h = n.conv("x", 3, 8)
    return n.model(h, n.op("Relu", h))


@model
def output_behind_a_fused_relu_that_is_consumed() -> onnx.ModelProto:
    n = Net("output_behind_a_fused_relu_that_is_consumed", x=IMAGE)
    h = n.op("Relu", n.conv("x", 3, 8))
    return n.model(h, n.conv(h, 8, 4))


@model
def several_outputs_of_one_chain() -> onnx.ModelProto:
    n = Net("several_outputs_of_one_chain", x=IMAGE)
    a = n.op("Sigmoid", n.conv("x", 3, 8))
    b = n.op("Add", a, n.conv(a, 8, 8))
    return n.model(b, a, n.op("GlobalAveragePool", b))


@model
def shared_weights() -> onnx.ModelProto:
    n = Net("shared_weights", x=(1, 6, 8, 8))
    w, b = n.weights(6, 6, 3, 3), n.weights(6, spread=0.1)
    h = n.op("Relu", n.op("Conv", "x", w, b, pads=[1] * 4))
    h = n.op("Relu", n.op("Conv", h, w, b, pads=[1] * 4))
    return n.model(n.op("Conv", h, w, b, pads=[1] * 4, strides=[2, 2]))


@model
def concat_with_constant() -> onnx.ModelProto:
    n = Net("concat_with_constant", x=IMAGE)
    return n.model(n.op("Concat", n.conv("x", 3, 5), n.weights(1, 2, 8, 8, spread=0.5), axis=1))


@model
def scalar_constants() -> onnx.ModelProto:
    n = Net("scalar_constants", x=IMAGE)
    h = n.op("Mul", n.op("Sub", "x", n.const(0.3)), n.const(1.7))
    h = n.op("Sigmoid", h)
    h = n.op("Div", n.op("Add", n.const(1.5), h), n.const(3.0))
    return n.model(n.op("Sub", n.const(1.0), h))


@model
def split_and_joined() -> onnx.ModelProto:
    n = Net("split_and_joined", x=(1, 4, 6, 6))
    a, b, c = n.op("Split", n.conv("x", 4, 12), n.ints(3, 5, 4), outputs=3, axis=1)
    return n.model(n.op("Concat", n.op("Sigmoid", b), a, n.op("Neg", c), axis=1))


@model
def split_with_an_output_left() -> onnx.ModelProto:
    n = Net("split_with_an_output_left", x=(1, 4, 6, 6))
    a, b = n.op("Split", n.conv("x", 4, 12), outputs=2, num_outputs=2, axis=1)
    return n.model(a, n.op("Relu", a)) if b else n.model(a)


@model
def softmax_in_the_middle() -> onnx.ModelProto:
    n = Net("softmax_in_the_middle", x=(1, 6, 10))
    a = n.op("Softmax", n.op("MatMul", "x", n.weights(10, 6, spread=0.3)), axis=-1)
    b = n.op("MatMul", "x", n.weights(10, 8, spread=0.3))
    h = n.op("MatMul", a, b)
    return n.model(n.op("Relu", n.op("MatMul", h, n.weights(8, 5, spread=0.3))))


@model
def softmax_over_channels() -> onnx.ModelProto:
    n = Net("softmax_over_channels", x=IMAGE)
    return n.model(n.op("Softmax", n.conv("x", 3, 6), axis=1))


@model
def softmax_then_convolution() -> onnx.ModelProto:
    n = Net("softmax_then_convolution", x=IMAGE)
    return n.model(n.conv(n.op("Softmax", n.conv("x", 3, 6), axis=1), 6, 4))


@model
def squeeze_and_excite() -> onnx.ModelProto:
    n = Net("squeeze_and_excite", x=(1, 4, 6, 6))
    h = n.op("Relu", n.conv("x", 4, 12))
    s = n.op("Relu", n.conv(n.op("GlobalAveragePool", h), 12, 4, 1))
    return n.model(n.op("Mul", h, n.op("Sigmoid", n.conv(s, 4, 12, 1))))


@model
def broadcasts_of_unequal_rank() -> onnx.ModelProto:
    n = Net("broadcasts_of_unequal_rank", x=(1, 4, 6, 5))
    h = n.op("Add", n.conv("x", 4, 12), n.const(n.rng.standard_normal((6, 1))))
    return n.model(n.op("Mul", h, n.const(n.rng.uniform(0.5, 2, (12, 1, 5)))))


@model
def two_inputs() -> onnx.ModelProto:
    n = Net("two_inputs", x=IMAGE, z=(1, 8))
    h = n.op("Flatten", n.op("GlobalAveragePool", n.conv("x", 3, 8)))
    h = n.op("Concat", h, n.op("Relu", "z"), axis=1)
    return n.model(n.op("Gemm", h, n.weights(5, 16), transB=1))


@model
def two_inputs_of_unequal_size() -> onnx.ModelProto:
    n = Net("two_inputs_of_unequal_size", x=IMAGE, z=IMAGE)
    return n.model(n.op("Add", n.op("Mul", "x", n.const(8.0)), "z"), n.op("Sub", "x", "z"))


@model
def dense_blocks() -> onnx.ModelProto:
    n = Net("dense_blocks", x=IMAGE)
    h = n.conv("x", 3, 6)
    for channels in (6, 10):
        h = n.op("Concat", h, n.op("Relu", n.conv(h, channels, 4)), axis=1)
    return n.model(n.op("Concat", h, h, axis=2))


@model
def residuals_of_unequal_size() -> onnx.ModelProto:
    n = Net("residuals_of_unequal_size", x=IMAGE)
    small, large = n.op("Sigmoid", n.conv("x", 3, 6)), n.op("Mul", n.conv("x", 3, 6), n.const(30.0))
    total = n.op("Add", small, large)
    return n.model(n.op("Sub", total, small), n.op("Conv", small, n.weights(3, 6, 1, 1)))


@model
def attention() -> onnx.ModelProto:
    n = Net("attention", x=(1, 6, 16))

    def heads(perm: Sequence[int]) -> str:
        h = n.op("Reshape", n.op("MatMul", "x", n.weights(16, 16, spread=0.25)), n.ints(1, 6, 2, 8))
        return str(n.op("Transpose", h, perm=perm))

    scores = n.op("Mul", n.op("MatMul", heads([0, 2, 1, 3]), heads([0, 2, 3, 1])), n.const(8**-0.5))
    h = n.op("MatMul", n.op("Softmax", scores, axis=-1), heads([0, 2, 1, 3]))
    h = n.op("Reshape", n.op("Transpose", h, perm=[0, 2, 1, 3]), n.ints(1, 6, 16))
    return n.model(n.op("Add", "x", n.op("MatMul", h, n.weights(16, 16, spread=0.25))))


@model
def input_that_is_an_output() -> onnx.ModelProto:
    n = Net("input_that_is_an_output", x=IMAGE)
    return n.model(n.op("Identity", "x"), n.conv("x", 3, 4))
