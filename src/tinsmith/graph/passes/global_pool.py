"""Means over height and width are GlobalAveragePool.

ReduceMean over all spatial dimensions of a map (rank 4; rank 3 behind a convolution or pool) is GlobalAveragePool, with
a Flatten behind it where the dimensions are not kept. Two ReduceMeans in a row are one: all means are over equally many
elements. Equal up to the order of summation.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    discard,
    each,
    get_int,
    input_of,
    insert,
    integers,
    is_float,
    name_after,
    only_user,
    operands,
    present,
    producer,
    set_constant,
    shape_of,
    swap,
)

_MAPS = ("Conv", "ConvTranspose", "MaxPool", "AveragePool")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("ReduceMean",), _join) | each(graph, ("ReduceMean",), _pool)


def _axes(node: ir.Node) -> tuple[int, ...]:
    return integers(input_of(node, 1)) or ()


def _join(node: ir.Node) -> bool:
    source = present(node, 0)
    first = producer(source, "ReduceMean")
    if first is None or only_user(source) is not node:
        return False
    keeps = get_int(first, "keepdims", 1)
    inner, outer, rank = _axes(first), _axes(node), len(shape_of(present(first, 0)))
    if not inner or not outer or (keeps != get_int(node, "keepdims", 1)):
        return False
    left = [axis for axis in range(rank) if keeps or axis not in inner]
    axes = sorted({*inner, *(left[axis] for axis in outer)})
    node.replace_input_with(0, present(first, 0))
    set_constant(node, 1, np.array(axes, dtype=np.int64), f"{node.name}.axes")
    discard(first)
    return True


def _pool(node: ir.Node) -> bool:
    source = present(node, 0)
    shape = shape_of(source)
    spatial = tuple(range(2, len(shape)))
    if not is_float(source) or _axes(node) != spatial or not (len(shape) == 4 or (len(shape) == 3 and _is_map(source))):
        return False
    if get_int(node, "keepdims", 1):
        swap(node, "GlobalAveragePool", [source])
        return True
    pooled = insert(node, "GlobalAveragePool", [source], shape[:2] + (1,) * len(spatial), name=f"{node.name}.pooled")
    name_after(swap(node, "Flatten", [pooled], {"axis": 1}), pooled, "flat")
    return True


def _is_map(value: ir.Value) -> bool:
    """Whether a value of rank 3 has channels in front: it comes from a convolution or pool, element by element."""
    shape, node = shape_of(value), value.producer()
    while node is not None and node.op_type not in _MAPS:
        sources = [operand for operand in operands(node) if not operand.is_initializer()]
        if len(sources) != 1 or shape_of(sources[0]) != shape:
            return False
        node = sources[0].producer()
    return node is not None
