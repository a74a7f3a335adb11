"""Elements picked by constants become Gather; Trilu becomes a product with ones and zeros.

- GatherElements and GatherND with constant indices: a Gather along one axis where all rows pick alike, else a Gather
  of the tensor's elements (or of what the indices' last axis leaves) in one row.
- Compress by constant conditions is a Gather along its axis.

All move bytes; Trilu multiplies by 1 and 0. Equal exactly.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    Array,
    add_constant,
    constant,
    each,
    get_int,
    graph_of,
    input_of,
    insert,
    integers,
    is_constant,
    is_float,
    present,
    shape_of,
    swap,
)

ENABLES: tuple[str, ...] = ("GatherElements", "GatherND", "Compress", "Trilu")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("GatherElements",), _elements)
    changed |= each(graph, ("GatherND",), _tuples)
    changed |= each(graph, ("Compress",), _compress)
    return changed | each(graph, ("Trilu",), _triangle)


def _elements(node: ir.Node) -> bool:
    source, indices = present(node, 0), constant(input_of(node, 1))
    if indices is None:
        return False
    shape = shape_of(source)
    axis = get_int(node, "axis", 0) % len(shape)
    indices = np.where(indices < 0, indices + shape[axis], indices)
    row = np.moveaxis(indices, axis, 0).reshape(indices.shape[axis], -1)
    whole = all(a == b for place, (a, b) in enumerate(zip(shape, indices.shape, strict=True)) if place != axis)
    if whole and np.array_equal(row, np.broadcast_to(row[:, :1], row.shape)):
        swap(node, "Gather", [source, _constant(node, row[:, 0], "indices")], {"axis": axis})
        return True
    places: list[Array] = list(np.indices(indices.shape))
    places[axis] = indices
    return _flat(node, len(shape), _in_one_row(places, shape))


def _tuples(node: ir.Node) -> bool:
    source, indices = present(node, 0), constant(input_of(node, 1))
    if indices is None:
        return False
    shape, batch = shape_of(source), get_int(node, "batch_dims", 0)
    depth = batch + indices.shape[-1]
    given = zip(np.moveaxis(indices, -1, 0), shape[batch:], strict=False)
    places = [*np.indices(indices.shape[:-1])[:batch], *(np.where(part < 0, part + dim, part) for part, dim in given)]
    return _flat(node, depth, _in_one_row(places, shape[:depth]))


def _in_one_row(places: list[Array], shape: tuple[int, ...]) -> Array:
    """Places given by an index for each axis, as places in the elements in order."""
    return np.asarray(np.ravel_multi_index(tuple(places), shape))


def _flat(node: ir.Node, depth: int, indices: Array) -> bool:
    """A Gather from the first ``depth`` axes in one row."""
    source, shape, result = present(node, 0), shape_of(present(node, 0)), shape_of(node.outputs[0])
    row = (math.prod(shape[:depth]), *shape[depth:])
    name = node.name or node.op_type
    flat = insert(node, "Reshape", [source, _constant(node, row, "row")], row, name=f"{name}.row")
    inputs = [flat, _constant(node, indices.reshape(-1), "indices")]
    gathered = insert(node, "Gather", inputs, (indices.size, *row[1:]), {"axis": 0}, name=f"{name}.picked")
    swap(node, "Reshape", [gathered, _constant(node, result, "shape")])
    return True


def _compress(node: ir.Node) -> bool:
    source, condition = present(node, 0), constant(input_of(node, 1))
    if condition is None or is_constant(source):
        return False
    indices = np.flatnonzero(condition)
    if "axis" not in node.attributes:
        return _flat(node, len(shape_of(source)), indices)
    axis = get_int(node, "axis", 0) % len(shape_of(source))
    swap(node, "Gather", [source, _constant(node, indices, "indices")], {"axis": axis})
    return True


def _triangle(node: ir.Node) -> bool:
    source = present(node, 0)
    offsets = (0,) if input_of(node, 1) is None else integers(input_of(node, 1))
    if not is_float(source) or is_constant(source) or offsets is None:
        return False
    keep = np.triu if get_int(node, "upper", 1) else np.tril
    ones = keep(np.ones(shape_of(source)[-2:], np.float32), offsets[0])
    swap(node, "Mul", [source, add_constant(graph_of(node), ones, f"{node.name}.ones")])
    return True


def _constant(node: ir.Node, values: Array | tuple[int, ...], name: str) -> ir.Value:
    return add_constant(graph_of(node), np.array(values, dtype=np.int64), f"{node.name}.{name}")
