"""ScatterElements with constant indices becomes ScatterND.

The place of each update is counted through all dimensions, the tensor being seen as one row: Reshape, ScatterND,
Reshape. Exact: the same elements meet the same updates.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    Array,
    add_constant,
    constant,
    each,
    get_int,
    get_string,
    graph_of,
    input_of,
    insert,
    present,
    shape_of,
    swap,
)

ENABLES: tuple[str, ...] = ("ScatterElements",)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("ScatterElements",), _flatten)


def _flatten(node: ir.Node) -> bool:
    data, indices, updates = present(node, 0), constant(input_of(node, 1)), present(node, 2)
    shape = shape_of(data)
    axis = get_int(node, "axis", 0) % len(shape)
    if indices is None or not indices.size or not -shape[axis] <= indices.min() <= indices.max() < shape[axis]:
        return False
    places: list[Array] = list(np.indices(indices.shape))
    places[axis] = indices % shape[axis]
    flat = np.ravel_multi_index(places, shape).reshape(-1, 1)
    inputs = [_row(node, data), _integers(node, "places", flat), _row(node, updates)]
    attributes = {"reduction": get_string(node, "reduction", "none")}
    result = insert(node, "ScatterND", inputs, (prod(shape),), attributes, name=f"{node.name}_flat")
    swap(node, "Reshape", [result, _integers(node, "shape", np.asarray(shape))])
    return True


def _row(node: ir.Node, value: ir.Value) -> ir.Value:
    shape = (prod(shape_of(value)),)
    return insert(node, "Reshape", [value, _integers(node, "row", np.asarray(shape))], shape, name=f"{node.name}_row")


def _integers(node: ir.Node, label: str, array: Array) -> ir.Value:
    return add_constant(graph_of(node), array.astype(np.int64), f"{node.name}_{label}")
