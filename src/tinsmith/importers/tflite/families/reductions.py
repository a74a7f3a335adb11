"""Operators that reduce over axes."""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.importers.tflite.operation import Operation, operator

_REDUCTIONS = {
    "MEAN": "ReduceMean",
    "SUM": "ReduceSum",
    "REDUCE_MAX": "ReduceMax",
    "REDUCE_MIN": "ReduceMin",
    "REDUCE_PROD": "ReduceProd",
    "REDUCE_ANY": "ReduceMax",
    "REDUCE_ALL": "ReduceMin",
}
_EXTREMES = {"ARG_MAX": "ArgMax", "ARG_MIN": "ArgMin"}


@operator(*_REDUCTIONS)
def reduce(op: Operation) -> ir.Value:
    """Over the axes of input 1."""
    return op.emit(
        _REDUCTIONS[op.kind],
        op.value(),
        op.ints_of(op.ints(1), "axes"),
        keepdims=int(op.option("KeepDims", False)),
        noop_with_empty_axes=1,
    )


@operator(*_EXTREMES)
def extreme(op: Operation) -> ir.Value:
    """Where the largest or smallest is: the first of several."""
    place = op.emit(_EXTREMES[op.kind], op.value(), axis=op.ints(1)[0], keepdims=0)
    return op.emit("Cast", place, to=op.result_dtype())
