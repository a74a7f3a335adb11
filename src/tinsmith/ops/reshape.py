"""Reshape, Flatten, Squeeze, Unsqueeze: new dimensions for the same elements in the same order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tinsmith.ops.base import Constraint, Operator, Reuse, Shape, constraint
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import Perm, channels_last, identity
from tinsmith.ops.lowering import Lowering, plain_attributes
from tinsmith.ops.movers import (
    axes_of,
    axis_of,
    constant_inputs,
    int64_input,
    integers,
    known_inputs,
    refuse,
    same_format,
)
from tinsmith.ops.passage import moves
from tinsmith.ops.work import nothing
from tinsmith.targets import Target

# ---- the exact result: what each operator says the new dimensions are


def reshaped(call: Call) -> Shape:
    """Reshape: 0 copies the input's dimension (unless `allowzero`), one -1 takes what is left.

    Raises:
        ProgramError: The elements do not fit the shape.
    """
    old, wanted = call.arg(0).data.shape, integers(call, 1)
    if wanted is None:
        raise refuse(call, "the shape (input 1) is missing.")
    copies = not call.attr("allowzero", 0)
    if copies and any(size == 0 and at >= len(old) for at, size in enumerate(wanted)):
        raise refuse(call, f"shape {list(wanted)} copies a dimension that the input {list(old)} does not have.")
    shape = [old[at] if copies and size == 0 else size for at, size in enumerate(wanted)]
    if any(size < -1 for size in shape) or shape.count(-1) > 1:
        raise refuse(call, f"shape {list(wanted)} is not a shape.")
    known = math.prod(size for size in shape if size != -1)
    if -1 in shape and known:
        shape[shape.index(-1)] = math.prod(old) // known
    if math.prod(shape) != math.prod(old) or -1 in shape:
        raise refuse(call, f"{list(old)} cannot take the shape {list(wanted)}.")
    return tuple(shape)


def flattened(call: Call) -> Shape:
    """Flatten: the dimensions before `axis` as one, the others as one."""
    old = call.arg(0).data.shape
    axis = call.attr("axis", 1)
    split = len(old) if axis == len(old) else axis_of(call, axis, len(old))
    return math.prod(old[:split]), math.prod(old[split:])


def squeezed(call: Call) -> Shape:
    """Squeeze: without the dimensions `axes` (input 1), which must be 1; without any that are 1 where not given.

    Raises:
        ProgramError: A dimension to drop is not 1.
    """
    old, given = call.arg(0).data.shape, integers(call, 1)
    drop = [at for at, n in enumerate(old) if n == 1] if given is None else axes_of(call, given, len(old))
    if any(old[at] != 1 for at in drop):
        raise refuse(call, f"axes {list(drop)} of {list(old)} cannot be squeezed: not all are 1.")
    return tuple(n for at, n in enumerate(old) if at not in drop)


def unsqueezed(call: Call) -> Shape:
    """Unsqueeze: ones inserted, at `axes` (input 1) of the result."""
    old, given = call.arg(0).data.shape, integers(call, 1)
    if given is None:
        raise refuse(call, "the axes (input 1) are missing.")
    new = axes_of(call, given, len(old) + len(given))
    rest = iter(old)
    return tuple(1 if at in new else next(rest) for at in range(len(old) + len(given)))


def _compute(shape: Callable[[Call], Shape]) -> Callable[[Call], Sequence[Array]]:
    def compute(call: Call) -> Sequence[Array]:
        return [np.ascontiguousarray(call.arg(0).data).reshape(shape(call))]

    return compute


def _emit(shape: Callable[[Call], Shape]) -> Callable[[Emit], None]:
    def emit(emit: Emit) -> None:
        constant_inputs(emit, 1)
        new = shape(emit.call)
        # A leading 1 is a batch in almost every network: left open, a twin can take several samples at once.
        batch = new[:1] == (1,) and 0 not in new
        dims = emit.constant((-1, *new[1:]) if batch else new, np.int64)
        emit.give(emit.op("Reshape", emit.x(0), dims, allowzero=1), rank=len(new))

    return emit


# ---- float networks: dimensions split and merge in whatever order the tensor is laid out


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring dimensions of the input that become neighbouring dimensions of the output."""

    before: tuple[int, ...]
    after: tuple[int, ...]


def groups(old: Shape, new: Shape) -> tuple[Group, ...]:
    """The finest split of a reshape into groups of equal size; dimensions of 1 left over join the last group."""
    found: list[Group] = []
    at = to = 0
    while at < len(old) and to < len(new):
        before, after = [at], [to]
        have, need = old[at], new[to]
        while have != need:
            if have < need:
                at += 1
                before.append(at)
                have *= old[at]
            else:
                to += 1
                after.append(to)
                need *= new[to]
        found.append(Group(tuple(before), tuple(after)))
        at, to = at + 1, to + 1
    rest = Group(tuple(range(at, len(old))), tuple(range(to, len(new))))
    if found:
        found[-1] = Group(found[-1].before + rest.before, found[-1].after + rest.after)
    else:
        found.append(rest)
    return tuple(found)


def _long(perm: Sequence[int], shape: Shape) -> list[int]:
    """The axes of ``perm`` longer than 1: what decides the order of elements."""
    return [axis for axis in perm if shape[axis] != 1]


def _position(group: Group, shape: Shape, place: Mapping[int, int]) -> int:
    """Where the layout has the group."""
    return min((place[axis] for axis in _long(group.before, shape) or group.before), default=0)


def regrouped(node: FloatNode, available: Sequence[Perm | None]) -> tuple[list[Perm | None], list[Perm]]:
    """Keep the order of the groups of dimensions as it is laid out; within a group it must be the ONNX order.

    So (N, C, H, W) → (N, C, H·W) stays channels-last, and only a merge of dimensions that are not neighbours in the
    layout costs a Transpose, to the ONNX order, or for what is channels-last again, to that.
    """
    old, new = node.input(0).shape, node.outputs[0].shape
    perm = available[0] or identity(len(old))
    wanted: list[Perm | None] = [None if i is None else identity(i.rank) for i in node.inputs]
    if 0 in old:
        return wanted, [identity(len(new))]
    place = {axis: position for position, axis in enumerate(perm)}
    ordered = sorted(groups(old, new), key=lambda group: _position(group, old, place))
    needed = tuple(axis for group in ordered for axis in group.before)
    found = _laid_out(_long([axis for group in ordered for axis in group.after], new), new)
    if _long(perm, old) != _long(needed, old) and not (len(new) == 4 and found == channels_last(4)):
        # It is moved in any case: to where most that follows wants it, the ONNX order unless that is a map.
        return [identity(len(old)), *wanted[1:]], [identity(len(new))]
    wanted[0] = perm if _long(perm, old) == _long(needed, old) else needed
    return wanted, [found]


def _laid_out(long: list[int], shape: Shape) -> Perm:
    """A perm with the long axes in that order: channels-last or the ONNX order if it can be, else ones in front.

    Ones in front, since a batch is one and belongs there once the other additional dimensions are gone.
    """
    for usual in (channels_last(len(shape)), identity(len(shape))):
        if _long(usual, shape) == long:
            return usual
    return (*(axis for axis, size in enumerate(shape) if size == 1), *long)


def _lower(call: Lowering) -> None:
    """The operator itself where the layout is the ONNX order, else the Reshape it amounts to."""
    source, result = call.slot(0), call.outputs[0]
    plain = source.perm == identity(len(source.perm)) and result.perm == identity(len(result.perm))
    if plain and call.node.op_type != "Reshape":
        call.emit(call.names(), attributes=plain_attributes(call.node))
    else:
        shape = int64_input(call, 1, "shape", result.shape)
        call.emit([call.name(0), shape], attributes={"allowzero": 0}, op_type="Reshape")


def _known(node: FloatNode, target: Target) -> bool:
    """The new dimensions are computed at run time; the chip needs fixed ones. Export the model with static shapes."""
    return known_inputs(node, target, 1)


_CONSTRAINTS: tuple[Constraint, ...] = (constraint(_known),)


def _reshaping(name: str, shape: Callable[[Call], Shape]) -> Operator:
    return Operator(
        name,
        _compute(shape),
        emit=_emit(shape),
        layout=regrouped,
        lower=_lower,
        constraints=_CONSTRAINTS,
        rules=(same_format,),
        passive=True,
        passage=moves,
        reuse=Reuse.CLEAN,
        work=nothing,
    )


OPERATORS = (
    _reshaping("Reshape", reshaped),
    _reshaping("Flatten", flattened),
    _reshaping("Squeeze", squeezed),
    _reshaping("Unsqueeze", unsqueezed),
)
