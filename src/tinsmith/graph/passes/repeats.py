"""Expand and Tile: left to whoever broadcasts anyway, else written as Gather.

- A reader that broadcasts its operands gets what was expanded, where its result stays the same.
- Elsewhere, each axis that grows is a Gather of the same elements again and again: bytes are moved, nothing is rounded.

Equal exactly.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    Array,
    add_constant,
    discard,
    each,
    graph_of,
    input_of,
    insert,
    is_constant,
    operands,
    present,
    replace,
    shape_of,
    swap,
)

ENABLES: tuple[str, ...] = ("Expand", "Tile")
_BROADCASTING = ("Add", "Sub", "Mul", "Div", "Pow", "Mod", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
_ALSO = ("Where", "Max", "Min", "Mean", "Sum", "And", "Or", "Xor")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Expand", "Tile"), _rewrite)


def _rewrite(node: ir.Node) -> bool:
    output = node.outputs[0]
    if is_constant(present(node, 0)) or not is_constant(input_of(node, 1)):
        return False
    changed = False
    for user in output.consumers() if _is_expansion(node) else ():
        changed |= _left_out(user, output, present(node, 0))
    if not output.uses() and not output.is_graph_output():
        discard(node)
        return True
    return _gathers(node) or changed


def _is_expansion(node: ir.Node) -> bool:
    """Whether only axes of one element grow."""
    given, result = shape_of(present(node, 0)), shape_of(node.outputs[0])
    padded = (1,) * (len(result) - len(given)) + given
    return all(dim in (1, wanted) for dim, wanted in zip(padded, result, strict=True))


def _left_out(user: ir.Node, output: ir.Value, source: ir.Value) -> bool:
    """Lets a reader broadcast the source itself, where that gives the same shape."""
    if user.op_type not in (*_BROADCASTING, *_ALSO):
        return False
    shapes = [shape_of(source if value is output else value) for value in operands(user)]
    if np.broadcast_shapes(*shapes) != shape_of(user.outputs[0]):
        return False
    for index, value in enumerate(user.inputs):
        if value is output:
            user.replace_input_with(index, source)
    return True


def _gathers(node: ir.Node) -> bool:
    source, result = present(node, 0), shape_of(node.outputs[0])
    graph, name = graph_of(node), node.name or node.op_type
    padded = (1,) * (len(result) - len(shape_of(source))) + shape_of(source)
    growing = [axis for axis, (dim, wanted) in enumerate(zip(padded, result, strict=True)) if dim != wanted]
    if padded != shape_of(source):
        wanted = add_constant(graph, np.array(padded, dtype=np.int64), f"{name}.shape")
        if not growing:
            swap(node, "Reshape", [source, wanted])
            return True
        source = insert(node, "Reshape", [source, wanted], padded, name=f"{name}.padded")
    if not growing:
        return replace(node.outputs[0], source)
    for axis in growing[:-1]:
        shape = (*shape_of(source)[:axis], result[axis], *shape_of(source)[axis + 1 :])
        inputs = [source, _indices(graph, padded, result, axis, name)]
        source = insert(node, "Gather", inputs, shape, {"axis": axis}, name=f"{name}.axis{axis}")
    swap(node, "Gather", [source, _indices(graph, padded, result, growing[-1], name)], {"axis": growing[-1]})
    return True


def _indices(graph: ir.Graph, given: tuple[int, ...], result: tuple[int, ...], axis: int, name: str) -> ir.Value:
    indices: Array = np.arange(result[axis], dtype=np.int64) % given[axis]
    return add_constant(graph, indices, f"{name}.indices")
