"""Merges Transposes in a row, and takes them into reductions.

- Two Transposes are one: with perms p then q, dimension i of the result is dimension p[q[i]] of the source.
- A reduction behind a Transpose reduces the source's dimensions instead, where what is left keeps its order (a mean
  over height and width of a channels-last map, for one).

Exact.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    REDUCTIONS,
    discard,
    each,
    get_int,
    get_ints,
    input_of,
    integers,
    present,
    producer,
    set_attributes,
    set_constant,
    shape_of,
)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("Transpose",), _explicit)
    changed |= each(graph, ("Transpose",), _join)
    return changed | each(graph, REDUCTIONS, _reduce)


def perm_of(node: ir.Node) -> tuple[int, ...]:
    """The perm of a Transpose."""
    rank = len(shape_of(present(node, 0)))
    return tuple(get_ints(node, "perm", tuple(reversed(range(rank)))))


def _explicit(node: ir.Node) -> bool:
    return set_attributes(node, {"perm": perm_of(node)})


def _join(node: ir.Node) -> bool:
    first = producer(present(node, 0), "Transpose")
    if first is None:
        return False
    inner = perm_of(first)
    set_attributes(node, {"perm": tuple(inner[axis] for axis in perm_of(node))})
    node.replace_input_with(0, present(first, 0))
    discard(first)
    return True


def _reduce(node: ir.Node) -> bool:
    first, axes = producer(present(node, 0), "Transpose"), integers(input_of(node, 1))
    if first is None or axes is None or get_int(node, "keepdims", 1):
        return False
    perm = perm_of(first)
    left = [source for axis, source in enumerate(perm) if axis not in axes]
    if left != sorted(left):
        return False
    set_constant(node, 1, np.array(sorted(perm[axis] for axis in axes), dtype=np.int64), f"{node.name}.axes")
    node.replace_input_with(0, present(first, 0))
    discard(first)
    return True
