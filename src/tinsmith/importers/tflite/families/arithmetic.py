"""Arithmetic on elements, with broadcasting as in numpy."""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.importers.tflite.families.fused import activated
from tinsmith.importers.tflite.operation import Operation, operator

_BINARY = {"ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div", "POW": "Pow"}


@operator(*_BINARY)
def binary(op: Operation) -> ir.Value:
    """Two operands, and maybe an activation."""
    return activated(op, op.emit(_BINARY[op.kind], op.value(0), op.value(1)))
