"""Slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinsmith.ops.base import Operator, Reuse, constraint
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import moved_axis, passive
from tinsmith.ops.lowering import Lowering
from tinsmith.ops.movers import (
    axes_of,
    axis_in,
    constant_inputs,
    int64_input,
    integers,
    known_inputs,
    refuse,
    same_format,
)
from tinsmith.ops.passage import moves
from tinsmith.ops.places import common_layout
from tinsmith.targets import Target


@dataclass(frozen=True, slots=True)
class Cut:
    """A slice of one dimension, its bounds inside the tensor: ``stop`` is -1 where a backward one goes all the way."""

    axis: int
    start: int
    stop: int
    step: int

    @classmethod
    def of(cls, axis: int, bounds: tuple[int, int, int], size: int) -> Cut:
        """Bounds clamped as ONNX says, which for a backward slice that starts before the tensor is not Python's way."""
        start, stop, step = bounds
        start, stop = (bound + size if bound < 0 else bound for bound in (start, stop))
        low, high = (0, size) if step > 0 else (-1, size - 1)
        return cls(axis, min(max(start, 0), high), min(max(stop, low), high), step)

    @property
    def slice(self) -> slice:
        """As Python writes it."""
        return slice(self.start, None if self.stop < 0 else self.stop, self.step) if self.start >= 0 else slice(0)


def cuts(call: Call) -> tuple[Cut, ...]:
    """What is cut from each sliced dimension, from inputs 1 … 4: starts, ends, axes, steps.

    Raises:
        ProgramError: The inputs have different lengths, or name a wrong axis or a step of 0.
    """
    starts, ends = integers(call, 1), integers(call, 2)
    if starts is None or ends is None:
        raise refuse(call, "starts and ends (inputs 1 and 2) are needed.")
    given, steps = integers(call, 3), integers(call, 4)
    shape = call.arg(0).data.shape
    axes = axes_of(call, range(len(starts)) if given is None else given, len(shape))
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise refuse(call, "starts, ends, axes and steps have different lengths.")
    if 0 in steps:
        raise refuse(call, "a step of 0 leads nowhere.")
    bounds = zip(starts, ends, steps, strict=True)
    return tuple(Cut.of(axis, bound, shape[axis]) for axis, bound in zip(axes, bounds, strict=True))


def _slice(call: Call) -> Sequence[Array]:
    """x[start:end:step] along each axis."""
    x = call.arg(0).data
    index = [slice(None)] * x.ndim
    for cut in cuts(call):
        index[cut.axis] = cut.slice
    return [np.ascontiguousarray(x[tuple(index)])]


def _emit_slice(emit: Emit) -> None:
    """With bounds inside the tensor: ONNX Runtime reads some far ones in a way of its own."""
    constant_inputs(emit, 1, 2, 3, 4)
    layout, shape = common_layout(emit), emit.call.arg(0).data.shape
    rows = [
        (c.start, c.stop if c.stop >= 0 else -shape[c.axis] - 1, axis_in(layout, c.axis, len(shape)), c.step)
        for c in cuts(emit.call)
    ]
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    emit.give(emit.op("Slice", emit.x(0, layout), *(emit.constant(column) for column in columns)), layout=layout)


def _lower_slice(call: Lowering) -> None:
    """The axes move with the layout; all five inputs are written."""
    node, source = call.node, call.slot(0)
    starts = node.const(1)
    assert starts is not None
    count = starts.size
    given, steps = node.const(3), node.const(4)
    axes = range(count) if given is None else given.reshape(-1).tolist()
    moved = int64_input(call, 3, "axes", (moved_axis(axis, source.perm) for axis in axes))
    stride = int64_input(call, 4, "steps", (1,) * count if steps is None else steps.reshape(-1).tolist())
    call.emit([call.name(0), call.name(1), call.name(2), moved, stride])


def _known(node: FloatNode, target: Target) -> bool:
    """The bounds are computed at run time; the chip needs fixed ones. Export the model with static shapes."""
    return known_inputs(node, target, 1, 2, 3, 4)


OPERATORS = (
    Operator(
        "Slice",
        _slice,
        emit=_emit_slice,
        layout=passive,
        lower=_lower_slice,
        constraints=(constraint(_known),),
        rules=(same_format,),
        passive=True,
        passage=moves,
        reuse=Reuse.NONE,
    ),
)
