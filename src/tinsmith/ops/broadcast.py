"""How the runtime walks two broadcast operands: the dimensions it merges decide its arithmetic (arithmetic §3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from tinsmith.ops.base import Cost, constraint
from tinsmith.ops.call import Call
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.ports import ACTIVATION, Ports
from tinsmith.targets import Target

MOST_MERGED = 4


class Kind(Enum):
    """Which operand has elements along a dimension."""

    BOTH = "both"
    FIRST = "the first; the second is repeated"
    SECOND = "the second; the first is repeated"


@dataclass(frozen=True, slots=True)
class Merged:
    """Adjacent dimensions of one kind, as one."""

    kind: Kind
    length: int


def merged(first: Sequence[int], second: Sequence[int]) -> tuple[Merged, ...]:
    """The dimensions the runtime sees, innermost last.

    Ranks are padded on the left, dimensions of length 1 in both are dropped, neighbours of equal kind are merged.

    Raises:
        ValueError: The shapes do not broadcast.
    """
    rank = max(len(first), len(second))
    found: list[Merged] = []
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in (first, second)]
    for a, b in zip(*padded, strict=True):
        if a != b and 1 not in (a, b):
            raise ValueError(f"shapes {tuple(first)} and {tuple(second)} do not broadcast")
        if a == b == 1:
            continue
        kind = Kind.BOTH if a == b else Kind.SECOND if a == 1 else Kind.FIRST
        length = max(a, b)
        if found and found[-1].kind is kind:
            found[-1] = Merged(kind, found[-1].length * length)
        else:
            found.append(Merged(kind, length))
    return tuple(found)


def dimensions(call: Call) -> tuple[Merged, ...]:
    """The merged dimensions of inputs 0 and 1."""
    return merged(call.arg(0).data.shape, call.arg(1).data.shape)


def innermost(call: Call) -> Merged:
    """The innermost merged dimension; two scalars are one element of both."""
    found = dimensions(call)
    return found[-1] if found else Merged(Kind.BOTH, 1)


def broadcast_shape(call: Call) -> Sequence[tuple[int, ...]]:
    """The output shape of a binary operator."""
    return [np.broadcast_shapes(call.arg(0).data.shape, call.arg(1).data.shape)]


def free_operands(node: FloatNode, target: Target) -> Ports:
    """Both operands and the output have exponents of their own."""
    return Ports((ACTIVATION, ACTIVATION), (ACTIVATION,))


def element_cost(node: FloatNode) -> Cost:
    """One operation per element of the output."""
    return Cost(int(np.prod(node.outputs[0].shape, dtype=np.int64)), "elementwise")


@constraint
def few_dimensions(node: FloatNode, target: Target) -> bool:
    """The runtime broadcasts over at most 4 dimensions, neighbours of one kind merged; reshape the operands."""
    return len(merged(node.input(0).shape, node.input(1).shape)) <= MOST_MERGED


def merged_dimensions_rule(call: Call) -> str | None:
    """The runtime stops at an assertion."""
    count = len(dimensions(call))
    if count <= MOST_MERGED:
        return None
    return f"its operands broadcast over {count} dimensions, the kernel has {MOST_MERGED}."
