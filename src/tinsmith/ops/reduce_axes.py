"""Which elements meet in a reduction: axes of program nodes and of float nodes, shapes, layouts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from tinsmith.ops.base import Shape
from tinsmith.ops.call import Array, Call
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import Perm, identity
from tinsmith.ops.movers import axes_of, integers


def reduced_axes(call: Call) -> tuple[int, ...]:
    """The axes of input 1, in order; all where there are none, whatever `noop_with_empty_axes` says."""
    rank = call.arg(0).data.ndim
    return tuple(sorted(axes_of(call, integers(call, 1) or range(rank), rank)))


def reduced_shape(call: Call) -> Sequence[Shape]:
    """The result's shape; the runtime has no tensor without dimensions, it makes them (1,)."""
    axes, shape = reduced_axes(call), call.arg(0).data.shape
    if call.attr("keepdims", 1):
        return [tuple(1 if at in axes else size for at, size in enumerate(shape))]
    return [tuple(size for at, size in enumerate(shape) if at not in axes) or (1,)]


def rows_of(call: Call) -> Array:
    """The input as (kept elements, elements that meet): outer axes slow, inner ones fast."""
    x, axes = call.arg(0).data, reduced_axes(call)
    kept = [at for at in range(x.ndim) if at not in axes]
    count = math.prod(x.shape[at] for at in axes)
    return x.transpose(*kept, *axes).reshape(math.prod(x.shape[at] for at in kept), count)


def group_count(rank: int, axes: Sequence[int]) -> int:
    """Runs of neighbouring axes of one kind, reduced or kept."""
    return sum(1 for _ in groupby(range(rank), key=lambda axis: axis in axes))


def node_axes(node: FloatNode) -> tuple[int, ...]:
    """The axes a float node reduces, ONNX order, from the front."""
    given, rank = node.const(1), node.input(0).rank
    axes = range(rank) if given is None or not given.size else given.reshape(-1).tolist()
    return tuple(sorted(axis % rank for axis in axes))


def reduced_layout(node: FloatNode, available: Sequence[Perm | None]) -> tuple[list[Perm | None], list[Perm]]:
    """Input 0's order stays; without `keepdims` the reduced axes leave it."""
    perm = available[0] or identity(node.input(0).rank)
    wanted = [None if operand is None else identity(operand.rank) for operand in node.inputs]
    wanted[0] = perm
    if node.integer("keepdims", 1):
        return wanted, [perm]
    axes = node_axes(node)
    kept = [axis for axis in perm if axis not in axes]
    return wanted, [tuple(sorted(kept).index(axis) for axis in kept)]
