"""Convolutions and what they are part of."""

from __future__ import annotations

import onnx_ir as ir
from tflite import Padding

from tinsmith.importers.tflite.families.fused import activated
from tinsmith.importers.tflite.operation import Operation, operator

_PADDING = {Padding.SAME: "SAME_UPPER", Padding.VALID: "VALID"}


def padding(op: Operation) -> str:
    """The padding of a window, in ONNX's words.

    Raises:
        ValueError: There is no such kind.
    """
    kind = op.option("Padding")
    if kind not in _PADDING:
        raise ValueError(f"padding is number {kind}")
    return _PADDING[kind]


def strides(op: Operation) -> tuple[int, ...]:
    """How far a window moves, rows first."""
    return op.extent(op.option("StrideH", 1), op.option("StrideW", 1))


@operator("CONV_2D")
def conv_2d(op: Operation) -> ir.Value:
    """Weights: output channels, rows, columns, input channels of a group."""
    _, rows, columns, channels = op.shape(1)
    return _convolution(op, (0, 3, 1, 2), (rows, columns), op.shape()[-1] // channels)


@operator("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(op: Operation) -> ir.Value:
    """Weights: 1, rows, columns, output channels; those of one input channel stand together."""
    _, rows, columns, outputs = op.shape(1)
    channels = op.shape()[-1]
    if outputs % channels:
        raise ValueError(f"{channels} channels become {outputs}")
    return _convolution(op, (3, 0, 1, 2), (rows, columns), channels)


def _convolution(op: Operation, perm: tuple[int, ...], kernel: tuple[int, int], group: int) -> ir.Value:
    """With the order of dimensions that makes ONNX's weights of the file's."""
    weights = op.weights(1, perm, (op.lost_axis + 1,) if op.lost_axis else ())
    result = op.emit(
        "Conv",
        op.channels_first(op.value()),
        weights,
        *((op.value(2),) if 2 in op else ()),
        auto_pad=padding(op),
        kernel_shape=op.extent(*kernel),
        strides=strides(op),
        dilations=op.extent(op.option("DilationHFactor", 1), op.option("DilationWFactor", 1)),
        group=group,
    )
    return op.channels_last(activated(op, result))


@operator("TRANSPOSE_CONV")
def transpose_conv(op: Operation) -> ir.Value:
    """Inputs: the shape of the result, weights (output channels, rows, columns, input channels), the picture, bias.

    The picture is what a convolution with this padding would make of the result.
    """
    _, rows, columns, _ = op.shape(1)
    size = op.ints(0)[1:3] if op.is_constant(0) else op.result().shape[1:3]
    steps = strides(op)
    before, behind, more = [], [], []
    for wanted, given, kernel, step in zip(size, op.shape(2)[1:3], (rows, columns), steps, strict=True):
        spare = (given - 1) * step + kernel - wanted
        before.append(max(spare, 0) // 2)
        behind.append(max(spare, 0) - before[-1])
        more.append(max(-spare, 0))
    result = op.emit(
        "ConvTranspose",
        op.channels_first(op.value(2)),
        op.weights(1, (3, 0, 1, 2)),
        *((op.value(3),) if 3 in op else ()),
        kernel_shape=(rows, columns),
        strides=steps,
        pads=(*before, *behind),
        output_padding=more,
    )
    return op.channels_last(activated(op, result))
