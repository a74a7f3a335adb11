"""Operators that only change the shape or the order of elements, or say what the shape is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from tinsmith.errors import UnsupportedError
from tinsmith.importers.tflite.families.fused import activated
from tinsmith.importers.tflite.operation import Operation, operator


@operator("RESHAPE")
def reshape(op: Operation) -> ir.Value:
    """To the shape of input 1, or of the options in older files; what both leave open comes from the result."""
    if 1 in op:
        return op.emit("Reshape", op.value(), op.wide(1))
    dims = op.option_ints("NewShape") or op.result().signature
    return op.emit("Reshape", op.value(), op.ints_of(dims, "shape"))


@operator("SQUEEZE")
def squeeze(op: Operation) -> ir.Value:
    """Drops the dimensions that the options name, or all of length 1."""
    axes = op.option_ints("SqueezeDims")
    return op.emit("Squeeze", op.value(), *((op.ints_of(axes, "axes"),) if axes else ()))


@operator("EXPAND_DIMS")
def expand_dims(op: Operation) -> ir.Value:
    """A new dimension of length 1."""
    return op.emit("Unsqueeze", op.value(), op.ints_of(op.ints(1)[:1], "axes"))


@operator("TRANSPOSE")
def transpose(op: Operation) -> ir.Value:
    """Another order of dimensions."""
    return op.emit("Transpose", op.value(), perm=op.ints(1))


@operator("CONCATENATION")
def concatenation(op: Operation) -> ir.Value:
    """Along one axis."""
    return activated(op, op.emit("Concat", *op.values(), axis=op.option("Axis")))


@operator("SPLIT")
def split(op: Operation) -> Sequence[ir.Value]:
    """Into parts of equal size; the axis comes first."""
    count = len(op.operator.outputs)
    return op.emit_several("Split", [op.value(1)], count, {"axis": op.ints(0)[0], "num_outputs": count})


@operator("SPLIT_V")
def split_v(op: Operation) -> Sequence[ir.Value]:
    """Into parts of given sizes, one of which may be left open (-1)."""
    sizes, axis = list(op.ints(1)), op.ints(2)[0]
    if -1 in sizes:
        place = sizes.index(-1)
        if op.tensor(0).signature[axis] < 0:
            raise UnsupportedError("the size of a part is not known.", hint="Convert the model with static shapes.")
        sizes[place] = op.shape()[axis] - sum(sizes) - 1
    return op.emit_several("Split", [op.value(), op.ints_of(sizes, "sizes")], len(sizes), {"axis": axis})


@operator("PACK")
def pack(op: Operation) -> ir.Value:
    """Stacks values along a new axis."""
    axis = op.option("Axis")
    axes = op.ints_of((axis,), "axes")
    return op.emit("Concat", *(op.emit("Unsqueeze", value, axes) for value in op.values()), axis=axis)


@operator("UNPACK")
def unpack(op: Operation) -> Sequence[ir.Value]:
    """Takes an axis apart; it is gone afterwards."""
    axis, count = op.option("Axis"), len(op.operator.outputs)
    axes = op.ints_of((axis,), "axes")
    parts = op.emit_several("Split", [op.value()], count, {"axis": axis, "num_outputs": count})
    return [op.emit("Squeeze", part, axes) for part in parts]


@operator("SHAPE")
def shape(op: Operation) -> ir.Value:
    """The shape, as integers."""
    return op.emit("Cast", op.emit("Shape", op.value()), to=_integers(op))


def _integers(op: Operation) -> ir.DataType:
    return ir.DataType.INT64 if op.result().type == "INT64" else ir.DataType.INT32


@operator("RANK")
def rank(op: Operation) -> ir.Value:
    """The number of dimensions."""
    return op.constant(np.array(op.rank(), np.int32), "rank")


@operator("BROADCAST_TO")
def broadcast_to(op: Operation) -> ir.Value:
    """Repeats dimensions of length 1."""
    return op.emit("Expand", op.value(), op.wide(1))


@operator("FILL")
def fill(op: Operation) -> ir.Value:
    """One number everywhere; the shape comes first."""
    return op.emit("Expand", op.value(1), op.wide(0))


@operator("ZEROS_LIKE")
def zeros_like(op: Operation) -> ir.Value:
    """Zeros in the shape and type of the input."""
    zero = op.emit("CastLike", op.number(0.0, "zero"), op.value())
    return op.emit("Expand", zero, op.emit("Shape", op.value()))


@operator("RANGE")
def range_(op: Operation) -> ir.Value:
    """From, to, by."""
    return op.emit("Range", *op.values())


@operator("TILE")
def tile(op: Operation) -> ir.Value:
    """Repeats the whole along each dimension."""
    return op.emit("Tile", op.value(), op.wide(1))


@operator("DEPTH_TO_SPACE")
def depth_to_space(op: Operation) -> ir.Value:
    """Channels become blocks of pixels; the place in the block counts slower than the channel."""
    value = op.channels_first(op.value())
    return op.channels_last(op.emit("DepthToSpace", value, blocksize=op.option("BlockSize"), mode="DCR"))


@operator("SPACE_TO_DEPTH")
def space_to_depth(op: Operation) -> ir.Value:
    """Blocks of pixels become channels."""
    value = op.channels_first(op.value())
    return op.channels_last(op.emit("SpaceToDepth", value, blocksize=op.option("BlockSize")))
