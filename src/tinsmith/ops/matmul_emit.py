"""MatMul as float matrix products that are exact (see `tinsmith.ops.linear_emit`)."""

from __future__ import annotations

import numpy as np

from tinsmith.ops.emit import FLOAT64, Emit, NotExpressible
from tinsmith.ops.linear import lanes_of, packing_block, shifts_of, unit_of
from tinsmith.ops.linear_emit import finish, guard, product
from tinsmith.ops.matmul_kernel import shape, sides
from tinsmith.ops.packing import vector_filters
from tinsmith.ops.ranges import known_range
from tinsmith.quant.linear import FLOAT32_EXACT
from tinsmith.quant.rounding import Rounding


def emit(e: Emit) -> None:
    """Append the node."""
    unit_of(e.call)
    (result,) = shape(e.call)
    if e.is_const(1):
        right = sides(e.call)[1]
        tensor = product(e, right if e.call.arg(1).data.ndim > 1 else right[:, 0])
    else:
        tensor = _computed(e)
    e.give(tensor, rank=len(result))


def _computed(e: Emit) -> str:
    """The finished product with a computed right side.

    Raises:
        NotExpressible: An accumulator that wraps could wrap.
    """
    left, right = e.x(0), _unpacked(e)
    channels = e.call.arg(0).data.shape[-1]
    largest = [max(abs(bound) for bound in known_range(e.builder, e.x(i), e.call.bits)) for i in (0, 1)]
    bound = largest[0] * largest[1] * channels
    _check_lanes(e, left, right, bound)
    shifts = np.clip(shifts_of(e.call), -16, 62)
    step = 2.0 ** float(shifts[0])
    up = e.call.target.rounding is Rounding.HALF_UP and shifts[0] > 0
    wide = bound + step >= FLOAT32_EXACT
    if wide:
        left, right = e.op("Cast", left, to=FLOAT64), e.op("Cast", right, to=FLOAT64)
    dtype = np.float64 if wide else np.float32
    sums = e.op("Mul", e.op("MatMul", left, right), e.constant(1.0 / step, dtype))
    if up:
        sums = e.op("Add", sums, e.constant(0.5, dtype))
    return finish(e, sums, shifts, wide=wide)


def _check_lanes(e: Emit, left: str, right: str, bound: float) -> None:
    shape_right = e.call.arg(1).data.shape
    filters = shape_right[-1] if len(shape_right) > 1 else 1
    found = lanes_of(unit_of(e.call), filters, depthwise=False)
    for lane in found:
        if lane.every:
            e.note_reach(bound / 2.0 ** (lane.bits - 1))
    lanes = [lane for lane in found if bound >= 2.0 ** (lane.bits - 1)]
    if any(not lane.every for lane in lanes):
        raise NotExpressible("an accumulator that could wrap")
    if not lanes or not e.checked:
        return
    start, stop = min(lane.channels.start for lane in lanes), max(lane.channels.stop for lane in lanes)
    if (start, stop) != (0, filters):
        bounds = [e.constant([number], np.int64) for number in (start, stop, -1)]
        right = e.op("Slice", right, *bounds)
    guard(e, e.op("MatMul", e.op("Abs", left), e.op("Abs", right)), lanes)


def _unpacked(e: Emit) -> str:
    """The right side (…, C, N) in its ordinary order."""
    tensor, packed, block = e.x(1), e.call.arg(1).data.shape, packing_block(e.call)
    if len(packed) == 1 or packed[-1] == 1:
        return tensor
    *batch, channels, filters = packed
    split, lead = vector_filters(filters, block), len(batch)
    flat = _reshaped(e, tensor, [*batch, channels * filters])
    parts = []
    if split:
        vectors = _reshaped(e, _cut(e, flat, 0, split * channels), [*batch, split // block, channels, block])
        turned = e.op("Transpose", vectors, perm=[*range(lead), lead + 1, lead, lead + 2])
        parts.append(_reshaped(e, turned, [*batch, channels, split]))
    if split < filters:
        stop = channels * filters
        rest = _reshaped(e, _cut(e, flat, split * channels, stop), [*batch, filters - split, channels])
        parts.append(e.op("Transpose", rest, perm=[*range(lead), lead + 1, lead]))
    return parts[0] if len(parts) == 1 else str(e.op("Concat", *parts, axis=lead + 1))


def _reshaped(e: Emit, tensor: str, shape: list[int]) -> str:
    return str(e.op("Reshape", tensor, e.constant(shape, np.int64)))


def _cut(e: Emit, tensor: str, start: int, stop: int) -> str:
    return str(e.op("Slice", tensor, *(e.constant([number], np.int64) for number in (start, stop, -1))))
