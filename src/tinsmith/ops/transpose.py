"""Transpose and Identity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.ops.base import Operator, Reuse
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import Perm, identity, passive
from tinsmith.ops.movers import axis_of, refuse, same_format
from tinsmith.ops.passage import moves
from tinsmith.ops.places import common_layout
from tinsmith.ops.work import GONE, Kernel, Shape, Slow, Work, elements, nothing


def perm_of(call: Call) -> Perm:
    """The order of dimensions; negative ones count from the back, reversed where not given.

    Raises:
        ProgramError: It is no permutation of the dimensions.
    """
    rank = call.arg(0).data.ndim
    given = call.attr("perm", tuple(range(rank - 1, -1, -1)))
    perm = tuple(axis_of(call, axis, rank) for axis in given)
    if sorted(perm) != list(range(rank)):
        raise refuse(call, f"perm {list(given)} is no permutation of {rank} dimensions.")
    return perm


def float_perm(node: FloatNode) -> Perm:
    """The order a float node asks for; reversed where not given."""
    return node.integers("perm", tuple(reversed(range(node.input(0).rank))))


def _transpose(call: Call) -> Sequence[Array]:
    """y[i0, i1, …] = x with its dimensions in the order `perm`."""
    return [np.ascontiguousarray(call.arg(0).data.transpose(perm_of(call)))]


def _emit_transpose(emit: Emit) -> None:
    """Where the tensor has its channels in second place, a Transpose may be nothing but another name for it."""
    perm = perm_of(emit.call)
    rank = len(perm)
    if perm == identity(rank):
        _emit_identity(emit)
        return
    if rank < 3 or common_layout(emit) == "file":
        emit.give(emit.op("Transpose", emit.x(0), perm=perm))
        return
    x = emit.x(0, "first")
    first = (0, rank - 1, *range(1, rank - 1))
    to_file = tuple(first.index(axis) for axis in perm)
    to_first = tuple(to_file[axis] for axis in first)
    if to_first == identity(rank):
        emit.give(x, layout="first")
    elif to_file == identity(rank):
        emit.give(x)
    else:
        emit.give(emit.op("Transpose", x, perm=to_file))


def _identity(call: Call) -> Sequence[Array]:
    """The input itself."""
    return [call.arg(0).data]


def _emit_identity(emit: Emit) -> None:
    layout = common_layout(emit)
    emit.give(emit.x(0, layout), layout=layout)


MOST_ADDED = 4
"""Dimensions for which the runtime has nested loops."""
ADDED, DIVIDED = 2, 12
"""Turns of a plain loop that finding an element's place takes; assumed."""


def transpose_work(call: Call, shapes: Sequence[Shape]) -> Work:
    """One element at a time: its place is added up from four indices, or found by divisions where there are more."""
    count = elements(shapes)
    slow = Slow(
        f"it moves {count:,} elements to another place, one at a time.",
        "Keep operators that want another order of dimensions (MatMul, Gemm, Reshape, Flatten beside convolutions) "
        "together, or replace them by 1×1 convolutions and global pooling.",
        GONE,
    )
    return Work(Kernel.SCALAR, steps=count * (ADDED if len(shapes[0]) <= MOST_ADDED else DIVIDED), slow=slow)


OPERATORS = (
    Operator(
        "Transpose",
        _transpose,
        emit=_emit_transpose,
        rules=(same_format,),
        passive=True,
        passage=moves,
        permutes=float_perm,
        reuse=Reuse.NONE,
        work=transpose_work,
    ),
    Operator(
        "Identity",
        _identity,
        emit=_emit_identity,
        layout=passive,
        rules=(same_format,),
        passive=True,
        passage=moves,
        reuse=Reuse.CLEAN,
        work=nothing,
    ),
)
