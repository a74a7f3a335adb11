"""The activations that operators carry with them."""

from __future__ import annotations

import onnx_ir as ir
from tflite import ActivationFunctionType as Activation

from tinsmith.errors import UnsupportedError
from tinsmith.importers.tflite.operation import Operation


def activated(op: Operation, value: ir.Value, default: int = Activation.NONE) -> ir.Value:
    """The value behind the operator's fused activation.

    Args:
        op: The operation, which may have an option for it.
        value: What it computes before.
        default: Where it has no such option.

    Raises:
        UnsupportedError: There is no such function in ONNX.
    """
    kind = op.option("FusedActivationFunction", default)
    if kind == Activation.NONE:
        return value
    if kind == Activation.RELU:
        return op.emit("Relu", value)
    if kind == Activation.RELU6:
        return clipped(op, value, 0.0, 6.0)
    if kind == Activation.RELU_N1_TO_1:
        return clipped(op, value, -1.0, 1.0)
    if kind == Activation.TANH:
        return op.emit("Tanh", value)
    raise UnsupportedError(f"its activation is number {kind}.", hint="Convert the model without it.")


def clipped(op: Operation, value: ir.Value, low: float, high: float) -> ir.Value:
    """The value, cut off at two numbers."""
    return op.emit("Clip", value, op.number(low, "min"), op.number(high, "max"))
