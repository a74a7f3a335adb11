"""Merges chains of Reshape, Flatten, Squeeze and Unsqueeze into one Reshape.

All four keep the elements in their order, so that only the last shape counts. A chain that ends in the shape it began
with disappears (`no_ops`). A single Flatten, Squeeze or Unsqueeze stays what it is. Transposes that move nothing but
dimensions of one element keep the order too and become Reshapes, and so do Gathers of all elements in order.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    add_constant,
    constant,
    drop_unused,
    each,
    get_int,
    get_ints,
    graph_of,
    input_of,
    insert,
    only_user,
    present,
    producer,
    shape_of,
    swap,
)

KINDS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("Transpose",), _transpose)
    changed |= each(graph, ("Gather",), _gather)
    return changed | each(graph, KINDS, _merge)


def _merge(node: ir.Node) -> bool:
    source = present(node, 0)
    first = producer(source, *KINDS)
    if first is None or only_user(source) is not node:
        return False
    reshape(node, present(first, 0))
    return True


def _transpose(node: ir.Node) -> bool:
    source = present(node, 0)
    if not keeps_order(shape_of(source), get_ints(node, "perm", ())):
        return False
    reshape(node, source)
    return True


def _gather(node: ir.Node) -> bool:
    source, indices = present(node, 0), constant(input_of(node, 1))
    size = shape_of(source)[get_int(node, "axis", 0)]
    if indices is None or indices.size != size or indices.reshape(-1).tolist() != list(range(size)):
        return False
    reshape(node, source)
    return True


def keeps_order(shape: tuple[int, ...], perm: tuple[int, ...]) -> bool:
    """Whether a Transpose by ``perm`` (reversal where empty) leaves elements of a tensor of ``shape`` in order."""
    perm = tuple(perm) or tuple(reversed(range(len(shape))))
    moved = [axis for axis in perm if shape[axis] != 1]
    return moved == sorted(moved)


def reshape(node: ir.Node, source: ir.Value) -> ir.Node:
    """Replaces a node by a Reshape of ``source`` to the same output."""
    shape = np.array(shape_of(node.outputs[0]), dtype=np.int64)
    return swap(node, "Reshape", [source, add_constant(graph_of(node), shape, f"{node.name}.shape")])


def reshaped(before: ir.Node, value: ir.Value, shape: tuple[int, ...], name: str) -> ir.Value:
    """A value in another shape, in front of a node: a constant anew, else by a Reshape; itself where it has it."""
    if shape_of(value) == shape:
        return value
    graph, array = graph_of(before), constant(value)
    if array is not None:
        drop_unused(value)
        return add_constant(graph, array.reshape(shape), f"{value.name}.reshaped")
    dims = add_constant(graph, np.array(shape, dtype=np.int64), f"{before.name}.{name}.shape")
    return insert(before, "Reshape", [value, dims], shape, name=f"{before.name}.{name}")
