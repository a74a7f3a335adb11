"""Operators that only change the shape or the order of elements."""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.importers.tflite.operation import Operation, operator


@operator("RESHAPE")
def reshape(op: Operation) -> ir.Value:
    """To the shape of input 1, or of the options in older files; what both leave open comes from the result."""
    if op.is_constant(1):
        dims = op.ints(1)
    elif 1 in op:
        wide = op.emit("Cast", op.value(1), to=ir.DataType.INT64)
        return op.emit("Reshape", op.value(), wide)
    else:
        dims = op.option_ints("NewShape") or op.result().signature
    return op.emit("Reshape", op.value(), op.ints_of(dims, "shape"))
