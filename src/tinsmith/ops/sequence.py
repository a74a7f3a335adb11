"""ReverseSequence, and StreamingCache, the memory of streaming models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinsmith.ops.base import INTEGER, Operator, Reuse, Shape, constraint
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import moved_axis, passive
from tinsmith.ops.lowering import Lowering
from tinsmith.ops.movers import axis_of, bounded, constant_inputs, integers, known_inputs, refuse, same_format
from tinsmith.targets import Target, Version


def _axes(call: Call) -> tuple[int, int]:
    """The batch and the time axis, which are 0 and 1 in either order."""
    rank = call.arg(0).data.ndim
    batch, time = (axis_of(call, call.attr(name, usual), rank) for name, usual in (("batch_axis", 1), ("time_axis", 0)))
    if {batch, time} != {0, 1}:
        raise refuse(call, f"batch axis {batch} and time axis {time} must be the first two dimensions.")
    return batch, time


def _reverse(call: Call) -> Sequence[Array]:
    """Per batch entry, the first `sequence_lens` steps in reverse, the others as they are."""
    (batch, time), lengths = _axes(call), integers(call, 1) or ()
    y = np.moveaxis(call.arg(0).data.copy(), (batch, time), (0, 1))
    if len(lengths) != y.shape[0] or not all(0 <= length <= y.shape[1] for length in lengths):
        raise refuse(call, f"sequence lengths {list(lengths)} do not fit {y.shape[0]} sequences of {y.shape[1]} steps.")
    for sequence, length in zip(y, lengths, strict=True):
        sequence[:length] = sequence[:length][::-1].copy()
    return [np.ascontiguousarray(np.moveaxis(y, (0, 1), (batch, time)))]


def _emit_reverse(emit: Emit) -> None:
    constant_inputs(emit, 1)
    batch, time = _axes(emit.call)
    emit.give(emit.op("ReverseSequence", emit.x(0), emit.x(1), batch_axis=batch, time_axis=time))


def _first_two(node: FloatNode, target: Target) -> bool:
    """Batch and time must be the first two dimensions. Transpose before and after."""
    return {node.integer("batch_axis", 1), node.integer("time_axis", 0)} == {0, 1}


def _known(node: FloatNode, target: Target) -> bool:
    """The sequence lengths are computed at run time; the chip needs fixed ones. Export the model with static shapes."""
    return known_inputs(node, target, 1)


def _frames(call: Call) -> tuple[int, int]:
    """(frame axis, frames remembered: `window_size` - 1)."""
    axis = axis_of(call, call.attr("frame_axis", 1), call.arg(0).data.ndim)
    kept = call.attr("window_size", 1) - 1
    if kept < 0:
        raise refuse(call, f"window_size {kept + 1} must be 1 or more.")
    return axis, kept


def _cached_shape(call: Call) -> Sequence[Shape]:
    (axis, kept), shape = _frames(call), call.arg(0).data.shape
    result = (*shape[:axis], shape[axis] + kept, *shape[axis + 1 :])
    bounded(call, math.prod(result))
    return [result]


def _cache(call: Call) -> Sequence[Array]:
    """The frames remembered, then x; the last `window_size` - 1 frames of both are remembered. Zeros at the start."""
    x = call.arg(0).data
    axis, kept = _frames(call)
    _cached_shape(call)
    if any(size != 1 for size in x.shape[:axis]):
        raise refuse(call, f"dimensions before frame axis {axis} must be 1, the tensor is {list(x.shape)}.")
    key = call.node.name or call.out.name
    before = call.state.get(key)
    if before is None:
        before = np.zeros((*x.shape[:axis], kept, *x.shape[axis + 1 :]), dtype=x.dtype)
    y = np.concatenate([before, x], axis=axis)
    call.state[key] = np.take(y, np.arange(y.shape[axis] - kept, y.shape[axis]), axis=axis)
    return [y]


def _lower_cache(call: Lowering) -> None:
    axis = moved_axis(call.node.integer("frame_axis", 1), call.slot(0).perm)
    attributes = {"frame_axis": axis, "window_size": call.node.integer("window_size", 1)}
    call.emit([call.name(0)], attributes=attributes)


OPERATORS = (
    Operator(
        "ReverseSequence",
        _reverse,
        emit=_emit_reverse,
        types=INTEGER,
        constraints=(constraint(_first_two), constraint(_known)),
        rules=(same_format,),
        passive=True,
    ),
    Operator(
        "StreamingCache",
        _cache,
        shape=_cached_shape,
        since=Version(3, 2, 4),
        layout=passive,
        lower=_lower_cache,
        rules=(same_format,),
        importable=False,
        passive=True,
        reuse=Reuse.NONE,
    ),
)
