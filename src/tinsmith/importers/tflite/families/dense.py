"""Matrix products."""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.errors import UnsupportedError
from tinsmith.importers.tflite.families.fused import activated
from tinsmith.importers.tflite.operation import Operation, operator


@operator("FULLY_CONNECTED")
def fully_connected(op: Operation) -> ir.Value:
    """Weights: one row per output. All dimensions of the input but the last are rows, unless it is kept as it is."""
    if op.option("WeightsFormat"):
        raise UnsupportedError("its weights are shuffled for a phone's CPU.", hint="Convert the model without that.")
    _, inputs = op.shape(1)
    value = op.value()
    if op.option("KeepNumDims", False) and op.rank() != 2:
        product = op.emit("MatMul", value, op.weights(1, (1, 0)))
        result = op.emit("Add", product, op.value(2)) if 2 in op else product
    else:
        if op.rank() != 2 or op.shape()[1] != inputs:
            value = op.emit("Reshape", value, op.ints_of((-1, inputs), "rows"))
        bias = (op.value(2),) if 2 in op else ()
        result = op.emit("Gemm", value, op.weights(1, (0, 1)), *bias, transB=1)
    return activated(op, result)


@operator("BATCH_MATMUL")
def batch_matmul(op: Operation) -> ir.Value:
    """Either factor may be turned first."""
    first = _turned(op, 0) if op.option("AdjX", False) else op.value(0)
    second = _turned(op, 1) if op.option("AdjY", False) else op.value(1)
    return op.emit("MatMul", first, second)


def _turned(op: Operation, index: int) -> ir.Value:
    rank = op.rank(index)
    return op.weights(index, (*range(rank - 2), rank - 1, rank - 2))
