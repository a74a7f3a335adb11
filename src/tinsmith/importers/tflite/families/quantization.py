"""Operators between integers and the real numbers they stand for: here, the same number on both sides."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.importers.tflite.operation import Operation, operator


@operator("QUANTIZE", "DEQUANTIZE")
def requantize(op: Operation) -> ir.Value:
    """Real numbers are real numbers; weights of 16 bits become 32."""
    if op.is_constant(0):
        return op.constant(op.array(0).astype(np.float32), "numbers")
    halves = "FLOAT16" in (op.tensor(0).type, op.result().type)
    return op.emit("Cast", op.value(), to=op.result_dtype()) if halves else op.emit("Identity", op.value())


@operator("FAKE_QUANT")
def fake_quant(op: Operation) -> ir.Value:
    """What training rounded to; its range is the value's."""
    op.note_range(op.option("Min", 0.0), op.option("Max", 0.0))
    return op.emit("Identity", op.value())
