"""Windows that slide over a picture."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from tinsmith.importers.tflite.families.convolution import padding, strides
from tinsmith.importers.tflite.families.fused import activated
from tinsmith.importers.tflite.operation import Operation, operator


def _window(op: Operation) -> dict[str, Any]:
    return {
        "auto_pad": padding(op),
        "kernel_shape": op.extent(op.option("FilterHeight", 1), op.option("FilterWidth", 1)),
        "strides": strides(op),
    }


@operator("AVERAGE_POOL_2D")
def average_pool_2d(op: Operation) -> ir.Value:
    """What lies in the padding does not count."""
    result = op.emit("AveragePool", op.channels_first(op.value()), **_window(op))
    return op.channels_last(activated(op, result))


@operator("MAX_POOL_2D")
def max_pool_2d(op: Operation) -> ir.Value:
    """The largest element of each window."""
    result = op.emit("MaxPool", op.channels_first(op.value()), **_window(op))
    return op.channels_last(activated(op, result))


@operator("L2_POOL_2D")
def l2_pool_2d(op: Operation) -> ir.Value:
    """The root of the mean of the squares."""
    value = op.channels_first(op.value())
    mean = op.emit("AveragePool", op.emit("Mul", value, value), **_window(op))
    return op.channels_last(activated(op, op.emit("Sqrt", mean)))
