"""Activations that are operators of their own."""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.importers.tflite.operation import Operation, operator


@operator("SOFTMAX")
def softmax(op: Operation) -> ir.Value:
    """Over the last dimension, sharpened by beta."""
    value, beta = op.value(), op.option("Beta", 1.0)
    if beta != 1.0:
        value = op.emit("Mul", value, op.number(beta, "beta"))
    return op.emit("Softmax", value, axis=-1)
