"""Concat and Split."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from tinsmith.ops.base import Operator, Reuse, constraint
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import elementwise, moved_axis, passive
from tinsmith.ops.lowering import Lowering
from tinsmith.ops.movers import (
    axis_in,
    axis_of,
    bounded,
    constant_inputs,
    formats_agree,
    int64_input,
    integers,
    known_inputs,
    refuse,
    same_format,
)
from tinsmith.ops.passage import moves
from tinsmith.ops.places import common_layout
from tinsmith.ops.ports import ACTIVATION, Ports
from tinsmith.targets import Target


def _concat_axis(call: Call) -> int:
    if "axis" not in call.node.attributes:
        raise refuse(call, "attribute 'axis' is missing.")
    return axis_of(call, call.attr("axis", 0), call.arg(0).data.ndim)


def _concat(call: Call) -> Sequence[Array]:
    """The inputs one after the other along `axis`."""
    axis = _concat_axis(call)
    parts = [call.arg(index).data for index in range(len(call.inputs))]
    bounded(call, sum(part.size for part in parts))
    for index, part in enumerate(parts):
        same = part.ndim == parts[0].ndim and all(
            a == b for at, (a, b) in enumerate(zip(part.shape, parts[0].shape, strict=True)) if at != axis
        )
        if not same:
            raise refuse(
                call,
                f"input {index} is {list(part.shape)}, input 0 {list(parts[0].shape)}: only axis {axis} may differ.",
            )
    return [np.concatenate(parts, axis=axis)]


def _emit_concat(emit: Emit) -> None:
    every = range(len(emit.call.inputs))
    layout, rank = common_layout(emit, every), emit.call.arg(0).data.ndim
    axis = axis_in(layout, _concat_axis(emit.call), rank)
    emit.give(emit.op("Concat", *(emit.x(index, layout) for index in every), axis=axis), layout=layout)


def _concat_formats(call: Call) -> str | None:
    """All inputs and the output need one exponent and one width."""
    return formats_agree(call, len(call.inputs))


def _concat_ports(node: FloatNode, target: Target) -> Ports:
    """All inputs and the output share one exponent."""
    return Ports(tuple(ACTIVATION for _ in node.inputs), (ACTIVATION,), tied=tuple(range(len(node.inputs))))


def _lower_concat(call: Lowering) -> None:
    axis = moved_axis(call.node.integer("axis", 0), call.outputs[0].perm)
    call.emit(call.names(), attributes={"axis": axis})


def split_sizes(call: Call, axis: int) -> tuple[int, ...]:
    """The lengths of the parts: `split` (input 1), else equal ones, the last one shorter where it does not divide.

    Raises:
        ProgramError: They do not add up to the length of ``axis``, or their number is not that of the outputs.
    """
    length, count = call.arg(0).data.shape[axis], len(call.outputs)
    sizes = integers(call, 1)
    if sizes is None:
        part = -(-length // count)
        sizes = tuple(max(min(part, length - part * index), 0) for index in range(count))
    if sum(sizes) != length or len(sizes) != count or min(sizes) < 0:
        raise refuse(call, f"{list(sizes)} do not split axis {axis} of length {length} into {count} outputs.")
    return sizes


def _split(call: Call) -> Sequence[Array]:
    """Parts of x along `axis`."""
    x = call.arg(0).data
    axis = axis_of(call, call.attr("axis", 0), x.ndim)
    borders = list(accumulate(split_sizes(call, axis)))[:-1]
    return [np.ascontiguousarray(part) for part in np.split(x, borders, axis=axis)]


def _emit_split(emit: Emit) -> None:
    constant_inputs(emit, 1)
    call, layout = emit.call, common_layout(emit)
    rank = call.arg(0).data.ndim
    axis = axis_of(call, call.attr("axis", 0), rank)
    sizes = split_sizes(call, axis)
    lengths = emit.constant(sizes, np.int64)
    found = emit.op("Split", emit.x(0, layout), lengths, outputs=len(sizes), axis=axis_in(layout, axis, rank))
    for index, part in enumerate((found,) if len(sizes) == 1 else found):
        emit.give(part, index, layout)


def _lower_split(call: Lowering) -> None:
    axis = moved_axis(call.node.integer("axis", 0), call.slot(0).perm)
    sizes = int64_input(call, 1, "split", (output.shape[axis] for output in call.outputs))
    call.emit([call.name(0), sizes], attributes={"axis": axis})


def _known(node: FloatNode, target: Target) -> bool:
    """The sizes are computed at run time; the chip needs fixed ones. Export the model with static shapes."""
    return known_inputs(node, target, 1)


OPERATORS = (
    Operator(
        "Concat",
        _concat,
        emit=_emit_concat,
        ports=_concat_ports,
        layout=elementwise,
        lower=_lower_concat,
        rules=(_concat_formats,),
        passive=True,
        passage=moves,
        reuse=Reuse.NONE,
    ),
    Operator(
        "Split",
        _split,
        emit=_emit_split,
        layout=passive,
        lower=_lower_split,
        constraints=(constraint(_known),),
        rules=(same_format,),
        passive=True,
        passage=moves,
        reuse=Reuse.NONE,
    ),
)
