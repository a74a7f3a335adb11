"""Spells RotaryEmbedding out: pairs of features are turned by an angle that depends on the position.

(x₁, x₂) becomes (cos · x₁ - sin · x₂, sin · x₁ + cos · x₂), where the pairs are the two halves of the features, or
neighbours. That is (cos, cos) · (x₁, x₂) + (-sin, sin) · (x₂, x₁): two products and a sum. Positions that are computed
at run time look their angles up by Gather. Exact.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    add_constant,
    constant,
    each,
    get_int,
    graph_of,
    input_of,
    insert,
    present,
    shape_of,
    swap,
)
from tinsmith.graph.passes.reshapes import reshaped

ENABLES = ("RotaryEmbedding",)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("RotaryEmbedding",), _rewrite)


def _rewrite(node: ir.Node) -> bool:
    source = present(node, 0)
    shape = shape_of(source)
    angles = [_angles(node, index) for index in (1, 2)]
    if len(shape) == 3:
        heads = get_int(node, "num_heads", 0)
        if not heads:
            return False
        inner: tuple[int, ...] = (shape[0], shape[1], heads, shape[2] // heads)
    else:
        inner = shape
    turned = get_int(node, "rotary_embedding_dim", 0) or inner[-1]
    cos = _spread(node, angles[0], turned, len(shape) == 3, negated=False)
    sin = _spread(node, angles[1], turned, len(shape) == 3, negated=True)
    x = reshaped(node, source, inner, "heads")
    rotated = _slice(node, x, 0, turned)
    swapped = _partners(node, rotated)
    first = insert(node, "Mul", [rotated, cos], shape_of(rotated), name=f"{node.name}.cos")
    second = insert(node, "Mul", [swapped, sin], shape_of(rotated), name=f"{node.name}.sin")
    result = insert(node, "Add", [first, second], shape_of(rotated), name=f"{node.name}.turned")
    if turned < inner[-1]:
        rest = _slice(node, x, turned, inner[-1])
        result = insert(node, "Concat", [result, rest], inner, {"axis": 3}, name=f"{node.name}.whole")
    swap(node, "Identity", [reshaped(node, result, shape, "flat")])
    return True


def _angles(node: ir.Node, index: int) -> ir.Value:
    """The cosines or sines of each position: (batch or 1, positions, pairs)."""
    cache, positions = present(node, index), input_of(node, 3)
    if positions is None:
        return cache
    table, where = constant(cache), constant(positions)
    shape = (*shape_of(positions), shape_of(cache)[-1])
    name = f"{node.name}.{'cos' if index == 1 else 'sin'}"
    if table is not None and where is not None:
        return add_constant(graph_of(node), table[where], name)
    return insert(node, "Gather", [cache, positions], shape, {"axis": 0}, name=name)


def _spread(node: ir.Node, angle: ir.Value, turned: int, three: bool, *, negated: bool) -> ir.Value:
    """Each number twice, where its pair is, perhaps negated the first time; a dimension of one for the heads."""
    shape = shape_of(angle)
    batch, positions, pairs = (1,) * (3 - len(shape)) + shape
    array, beside = constant(angle), bool(get_int(node, "interleaved", 0))
    result = (batch, positions, 1, turned) if three else (batch, 1, positions, turned)
    column = (batch, positions, pairs, 1) if beside else (batch, positions, 1, pairs)
    if array is not None:
        both = np.concatenate([-array if negated else array, array], axis=-1)
        if beside:
            both = both.reshape(*array.shape[:-1], 2, pairs).swapaxes(-1, -2)
        return add_constant(graph_of(node), np.ascontiguousarray(both).reshape(result), f"{angle.name}.twice")
    angle = reshaped(node, angle, column, "pairs")
    first = insert(node, "Neg", [angle], column, name=f"{node.name}.negated") if negated else angle
    axis, whole = (3, (*column[:3], 2)) if beside else (2, (*column[:2], 2, pairs))
    twice = insert(node, "Concat", [first, angle], whole, {"axis": axis}, name=f"{node.name}.twice")
    return reshaped(node, twice, result, "twice")


def _partners(node: ir.Node, x: ir.Value) -> ir.Value:
    """The other element of each pair: (x₂, x₁)."""
    shape, size = shape_of(x), shape_of(x)[-1] // 2
    if get_int(node, "interleaved", 0):
        x, size = reshaped(node, x, (shape[0], shape[1] * shape[2], size, 2), "pairs"), 1
    later, earlier = _slice(node, x, size, 2 * size), _slice(node, x, 0, size)
    both = insert(node, "Concat", [later, earlier], shape_of(x), {"axis": 3}, name=f"{node.name}.partners")
    return reshaped(node, both, shape, "partners")


def _slice(node: ir.Node, x: ir.Value, start: int, stop: int) -> ir.Value:
    """Some of the last of four dimensions."""
    shape = shape_of(x)
    if (start, stop) == (0, shape[-1]):
        return x
    graph = graph_of(node)
    bounds = [add_constant(graph, np.array([n], np.int64), f"{node.name}.bound") for n in (start, stop, 3, 1)]
    return insert(node, "Slice", [x, *bounds], (*shape[:-1], stop - start), name=f"{node.name}.part")
