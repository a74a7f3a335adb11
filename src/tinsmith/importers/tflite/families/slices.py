"""Operators that pick elements by their place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from tinsmith.errors import UnsupportedError
from tinsmith.importers.tflite.operation import Operation, operator

END = (1 << 31) - 1
"""Behind the last element, or, negative, before the first."""


@operator("SLICE")
def slice_(op: Operation) -> ir.Value:
    """From where, how many; -1 for all that are left."""
    axes = op.ints_of(range(op.rank()), "axes")
    if op.is_constant(1) and op.is_constant(2):
        starts = op.ints(1)
        ends = [END if size < 0 else start + size for start, size in zip(starts, op.ints(2), strict=True)]
        return op.emit("Slice", op.value(), op.ints_of(starts, "starts"), op.ints_of(ends, "ends"), axes)
    begin, size = op.wide(1), op.wide(2)
    rest = op.emit("Less", size, op.ints_of((0,), "zero"))
    behind = op.emit("Where", rest, op.ints_of((END,), "end"), op.emit("Add", begin, size))
    return op.emit("Slice", op.value(), begin, behind, axes)


@operator("STRIDED_SLICE")
def strided_slice(op: Operation) -> ir.Value:
    """Numpy's slices; masks tell of each entry whether it is a number, ``:``, ``...`` or ``newaxis``."""
    if all(op.is_constant(index) for index in (1, 2, 3)):
        return _sliced(op)
    return _sliced_at(op)


def _mask(op: Operation, name: str) -> int:
    return int(op.option(f"{name}Mask"))


def _sliced(op: Operation) -> ir.Value:
    begin, end, strides = op.ints(1), op.ints(2), op.ints(3)
    starts, ends, steps, axes, dropped, added = [], [], [], [], [], []
    axis = place = 0  # of the input; of the result before dimensions are dropped
    for number, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << number
        if _mask(op, "Ellipsis") & bit:
            new = sum(1 for later in range(number + 1, len(begin)) if _mask(op, "NewAxis") & 1 << later)
            skipped = op.rank() - axis - (len(begin) - number - 1 - new)
            axis, place = axis + skipped, place + skipped
            continue
        if _mask(op, "NewAxis") & bit:
            added.append(place)
            place += 1
            continue
        if op.option("Offset", False):
            last += first
        if _mask(op, "ShrinkAxis") & bit:
            dropped.append(place)
            low, high, step = first, first + 1 or END, 1
        else:
            low = first if not _mask(op, "Begin") & bit else (0 if step > 0 else END)
            high = last if not _mask(op, "End") & bit else (END if step > 0 else -END)
        starts.append(low)
        ends.append(high)
        steps.append(step)
        axes.append(axis)
        axis, place = axis + 1, place + 1
    value = op.value()
    if axes:
        lists = zip((starts, ends, axes, steps), ("starts", "ends", "axes", "steps"), strict=True)
        value = op.emit("Slice", value, *(op.ints_of(numbers, what) for numbers, what in lists))
    if added:
        value = op.emit("Unsqueeze", value, op.ints_of(added, "new"))
    return op.emit("Squeeze", value, op.ints_of(dropped, "dropped")) if dropped else value


def _sliced_at(op: Operation) -> ir.Value:
    """Bounds that are computed, of the first dimensions."""
    if _mask(op, "Ellipsis") or _mask(op, "NewAxis") or op.option("Offset", False):
        raise UnsupportedError("its bounds are computed.", hint="Convert the model with static shapes.")
    steps = op.ints(3)
    count = len(steps)
    begin, end = op.wide(1), op.wide(2)
    starts = _unless(op, "Begin", begin, [0 if step > 0 else END for step in steps])
    ends = _unless(op, "End", end, [END if step > 0 else -END for step in steps])
    shrink = _mask(op, "ShrinkAxis")
    if shrink:
        bits = op.constant(np.array([bool(shrink & 1 << place) for place in range(count)]), "shrink")
        ends = op.emit("Where", bits, op.emit("Add", begin, op.ints_of((1,), "one")), ends)
    axes = op.ints_of(range(count), "axes")
    value = op.emit("Slice", op.value(), starts, ends, axes, op.ints_of(steps, "steps"))
    dropped = [place for place in range(count) if shrink & 1 << place]
    return op.emit("Squeeze", value, op.ints_of(dropped, "dropped")) if dropped else value


def _unless(op: Operation, mask: str, numbers: ir.Value, others: Sequence[int]) -> ir.Value:
    bits = _mask(op, mask)
    if not bits:
        return numbers
    masked = op.constant(np.array([bool(bits & 1 << place) for place in range(len(others))]), mask.lower())
    return op.emit("Where", masked, op.ints_of(others, f"{mask.lower()}_open"), numbers)


@operator("GATHER")
def gather(op: Operation) -> ir.Value:
    """Picks along an axis; the first dimensions may belong together (``batch_dims``)."""
    axis, batch = op.option("Axis"), op.option("BatchDims")
    if not batch:
        return op.emit("Gather", op.value(), op.value(1), axis=axis)
    if axis % op.rank() == batch % op.rank(1) == op.rank() - 1 == op.rank(1) - 1:
        return op.emit("GatherElements", op.value(), op.value(1), axis=axis)
    raise UnsupportedError(f"it picks other elements for each of {batch} dimensions.", hint="Convert without that.")


@operator("GATHER_ND")
def gather_nd(op: Operation) -> ir.Value:
    """Picks along the first dimensions at once."""
    return op.emit("GatherND", op.value(), op.emit("Cast", op.value(1), to=ir.DataType.INT64))


@operator("EMBEDDING_LOOKUP")
def embedding_lookup(op: Operation) -> ir.Value:
    """Rows of a table; the numbers of the rows come first."""
    return op.emit("Gather", op.value(1), op.value(0), axis=0)


@operator("REVERSE_V2")
def reverse(op: Operation) -> ir.Value:
    """Turned along some axes."""
    axes = op.ints(1)
    ends = {"starts": [-1] * len(axes), "ends": [-END] * len(axes), "axes": axes, "steps": [-1] * len(axes)}
    return op.emit("Slice", op.value(), *(op.ints_of(numbers, what) for what, numbers in ends.items()))


@operator("TOPK_V2")
def top_k(op: Operation) -> Sequence[ir.Value]:
    """The largest along the last axis, and where they are."""
    values, indices = op.emit_several("TopK", [op.value(), op.wide(1)], 2, {"axis": -1})
    return values, op.emit("Cast", indices, to=ir.DataType.INT32)


@operator("ONE_HOT")
def one_hot(op: Operation) -> ir.Value:
    """Indices, depth, the number at the index, the number elsewhere."""
    values = [op.emit("Reshape", op.value(index), op.ints_of((1,), f"one_{index}")) for index in (3, 2)]
    indices = op.emit("Cast", op.value(), to=ir.DataType.INT64)  # ONNX Runtime has it for few combinations of types
    return op.emit("OneHot", indices, op.wide(1), op.emit("Concat", *values, axis=0), axis=op.option("Axis", -1))
