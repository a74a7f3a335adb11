"""Networks that move data: reshapes, transposes, slices, pads, resizes, ranks from 1 to 5."""

from __future__ import annotations

import numpy as np
import onnx

from tests.e2e.nets.build import IMAGE, Net, model


@model
def output_of_transpose() -> onnx.ModelProto:
    n = Net("output_of_transpose", x=IMAGE)
    return n.model(n.op("Transpose", n.conv("x", 3, 5), perm=[0, 2, 3, 1]))


@model
def output_of_odd_transpose() -> onnx.ModelProto:
    n = Net("output_of_odd_transpose", x=(1, 3, 8, 6))
    return n.model(n.op("Transpose", n.conv("x", 3, 5), perm=[0, 3, 1, 2]))


@model
def output_of_reshape() -> onnx.ModelProto:
    n = Net("output_of_reshape", x=IMAGE)
    h = n.op("Reshape", n.conv("x", 3, 6), n.ints(1, 2, 3, 64))
    return n.model(n.op("Transpose", h, perm=[0, 3, 1, 2]))


@model
def output_that_merges_the_batch() -> onnx.ModelProto:
    n = Net("output_that_merges_the_batch", x=IMAGE)
    return n.model(n.op("Flatten", n.conv("x", 3, 6), axis=2))


@model
def output_of_relu_on_input() -> onnx.ModelProto:
    n = Net("output_of_relu_on_input", x=IMAGE)
    return n.model(n.op("Relu", "x"))


@model
def input_transposed() -> onnx.ModelProto:
    n = Net("input_transposed", x=(1, 8, 8, 3))
    return n.model(n.conv(n.op("Transpose", "x", perm=[0, 3, 1, 2]), 3, 8))


@model
def slices_with_steps() -> onnx.ModelProto:
    n = Net("slices_with_steps", x=(1, 4, 9, 9))
    h = n.conv("x", 4, 8)
    h = n.op("Slice", h, n.ints(1, 0), n.ints(9, 8), n.ints(2, 3), n.ints(2, 3))
    return n.model(n.op("Slice", h, n.ints(0), n.ints(7), n.ints(1), n.ints(3)))


@model
def slice_backwards() -> onnx.ModelProto:
    n = Net("slice_backwards", x=(1, 4, 9, 9))
    return n.model(n.op("Slice", n.conv("x", 4, 8), n.ints(-1), n.ints(-10), n.ints(2), n.ints(-1)))


@model
def gathers() -> onnx.ModelProto:
    n = Net("gathers", x=(1, 6, 5, 4))
    h = n.op("Gather", n.conv("x", 6, 6), n.ints(3, -1, 0), axis=1)
    h = n.op("Gather", h, n.const(2, np.int64), axis=2)
    return n.model(n.op("Relu", h))


@model
def pads_of_all_modes() -> onnx.ModelProto:
    n = Net("pads_of_all_modes", x=IMAGE)
    h = n.op("Pad", "x", n.ints(0, 0, 1, 2, 0, 0, 2, 1), mode="reflect")
    h = n.conv(h, 3, 4)
    h = n.op("Pad", h, n.ints(0, 0, 1, 0, 0, 0, 0, 1), mode="edge")
    return n.model(n.op("Pad", h, n.ints(0, 0, 0, 1, 0, 0, 1, 0), n.const(0.5), mode="constant"))


@model
def resized_up() -> onnx.ModelProto:
    n = Net("resized_up", x=(1, 16, 5, 4))
    h = n.op("Resize", n.conv("x", 16, 16), "", n.const([1, 1, 2, 2]), mode="nearest")
    return n.model(n.conv(h, 16, 4))


@model
def resized_linear() -> onnx.ModelProto:
    n = Net("resized_linear", x=(1, 16, 5, 4))
    h = n.op("Resize", n.conv("x", 16, 16), "", n.const([1, 1, 2, 2]), mode="linear")
    return n.model(n.conv(h, 16, 4))


@model
def depth_and_space() -> onnx.ModelProto:
    n = Net("depth_and_space", x=(1, 4, 6, 6))
    h = n.op("DepthToSpace", n.conv("x", 4, 12), blocksize=2, mode="CRD")
    h = n.op("SpaceToDepth", n.conv(h, 3, 4), blocksize=2)
    return n.model(n.op("DepthToSpace", h, blocksize=2, mode="DCR"))


@model
def channel_shuffle() -> onnx.ModelProto:
    n = Net("channel_shuffle", x=(1, 4, 6, 6))
    h = n.op("Reshape", n.conv("x", 4, 12), n.ints(1, 2, 6, 6, 6))
    h = n.op("Transpose", h, perm=[0, 2, 1, 3, 4])
    return n.model(n.conv(n.op("Reshape", h, n.ints(1, 12, 6, 6)), 12, 4))


@model
def means_without_kept_dimensions() -> onnx.ModelProto:
    n = Net("means_without_kept_dimensions", x=IMAGE)
    h = n.op("ReduceMean", n.conv("x", 3, 8), n.ints(2, 3), keepdims=0)
    return n.model(n.op("Gemm", h, n.weights(5, 8), transB=1))


@model
def mean_over_channels() -> onnx.ModelProto:
    n = Net("mean_over_channels", x=IMAGE)
    h = n.op("Relu", n.conv("x", 3, 8))
    return n.model(n.op("Mul", h, n.op("ReduceMean", h, n.ints(1), keepdims=1)))


@model
def rank_five() -> onnx.ModelProto:
    n = Net("rank_five", x=(1, 2, 3, 4, 5))
    h = n.op("Transpose", n.op("Sigmoid", "x"), perm=[0, 4, 2, 1, 3])
    h = n.op("Add", h, n.const(n.rng.standard_normal((3, 1, 1))))
    return n.model(n.op("ReduceMean", h, n.ints(2, 3), keepdims=0))


@model
def one_dimension() -> onnx.ModelProto:
    n = Net("one_dimension", x=(16,))
    return n.model(n.op("Tanh", n.op("Mul", "x", n.const(0.7))))


@model
def squeezed() -> onnx.ModelProto:
    n = Net("squeezed", x=(1, 4, 1, 9))
    h = n.op("Squeeze", n.op("Conv", "x", n.weights(6, 4, 1, 3)), n.ints(2))
    return n.model(n.op("Unsqueeze", n.op("Relu", h), n.ints(3)))
