"""Leaves a leading dimension of one away between layers that have none.

A layer over all rows works on (rows, features); what is between two of them was written for (1, rows, features), and
Reshapes lead from one to the other and back. Element-wise operators, norms, Softmax, MatMul and Transposes do the same
without that dimension. A *region* is a connected set of such nodes. The dimension goes where that leaves fewer
Reshapes; so it ends. Exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx_ir as ir

from tinsmith.graph import provenance
from tinsmith.graph.edit import (
    add_constant,
    constant,
    fresh,
    get_int,
    get_ints,
    is_constant,
    known_shape,
    operands,
    present,
    producer,
    set_attributes,
    set_constant,
    shape_of,
)
from tinsmith.graph.passes.reshapes import KINDS, reshaped
from tinsmith.graph.permute import ELEMENTWISE

Region = dict[ir.Node, None]

_FIRST_ONLY = ("Clip", "LayerNormalization", "RMSNormalization")
"""Their further inputs have no such dimension."""


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = False
    for region in tuple(_regions(graph)):
        if _change(region) < 0:
            _strip(graph, region)
            changed = True
    return changed


def _nothing(node: ir.Node) -> None:
    """No dimension has a name."""


def _axis(node: ir.Node) -> None:
    set_attributes(node, {"axis": get_int(node, "axis", 0) - 1})


def _perm(node: ir.Node) -> None:
    set_attributes(node, {"perm": [axis - 1 for axis in get_ints(node, "perm", ())[1:]]})


_CHANGES: dict[str, Callable[[ir.Node], None]] = {
    **dict.fromkeys((*ELEMENTWISE, "MatMul"), _nothing),
    **dict.fromkeys(
        ("Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization", "LpNormalization", "Concat"), _axis
    ),
    "Transpose": _perm,
}


def _movable(node: ir.Node) -> bool:
    if node.op_type not in _CHANGES or len(node.outputs) != 1:
        return False
    shape = known_shape(node.outputs[0]) or ()
    if len(shape) < 3 or shape[0] != 1 or (_CHANGES[node.op_type] is _axis and get_int(node, "axis", 0) < 1):
        return False
    if node.op_type == "Transpose" and get_ints(node, "perm", (1,))[0] != 0:
        return False
    return all(len(shape_of(value)) == len(shape) for value in _laid_out(node))


def _laid_out(node: ir.Node) -> Iterator[ir.Value]:
    """The computed operands that have the dimension."""
    values = operands(node)[:1] if node.op_type in _FIRST_ONLY else operands(node)
    return (value for value in values if not is_constant(value))


def _regions(graph: ir.Graph) -> Iterator[Region]:
    """Connected movable nodes, in the order of the graph."""
    place = {node: index for index, node in enumerate(graph)}
    seen: Region = {}
    for start in place:
        if start in seen or not _movable(start):
            continue
        region: Region = {}
        pending = [start]
        while pending:
            node = pending.pop()
            if node in region or not _movable(node):
                continue
            region[node] = None
            pending.extend(before for value in _laid_out(node) if (before := value.producer()) is not None)
            pending.extend(
                user for user in node.outputs[0].consumers() if any(node.outputs[0] is v for v in _laid_out(user))
            )
        seen |= region
        yield dict.fromkeys(sorted(region, key=place.__getitem__))


def _entering(region: Region) -> dict[ir.Value, None]:
    return {value: None for node in region for value in _laid_out(node) if value.producer() not in region}


def _outside(value: ir.Value, region: Region) -> list[ir.Node]:
    return [user for user in value.consumers() if user not in region]


def _change(region: Region) -> int:
    """How many Reshapes more there would be."""
    total = 0
    for value in _entering(region):
        before = producer(value, *KINDS)
        if before is None or _outside(value, region) or value.is_graph_output():
            total += 1
        elif shape_of(present(before, 0)) == shape_of(value)[1:]:
            total -= 1
    for node in region:
        (value,) = node.outputs
        users = _outside(value, region)
        kept = [user for user in users if user.op_type not in KINDS]
        total += 1 if kept or value.is_graph_output() else 0
        total -= sum(user not in kept and shape_of(user.outputs[0]) == shape_of(value)[1:] for user in users)
    return total


def _strip(graph: ir.Graph, region: Region) -> None:
    """Lets a region work without the dimension."""
    entering: dict[ir.Value, ir.Value] = {}
    for node in region:
        rank = len(shape_of(node.outputs[0]))
        computed = tuple(_laid_out(node))
        for index, value in enumerate(node.inputs):
            array = None if value is None or (node.op_type in _FIRST_ONLY and index) else constant(value)
            if array is not None and array.ndim == rank:
                set_constant(node, index, array.reshape(array.shape[1:]))
            elif value is not None and value in computed and value.producer() not in region:
                if value not in entering:
                    entering[value] = reshaped(node, value, shape_of(value)[1:], "rows")
                node.replace_input_with(index, entering[value])
        _CHANGES[node.op_type](node)
    for node in region:
        (value,) = node.outputs
        shape = shape_of(value)
        value.shape = ir.Shape(shape[1:])
        if value.is_graph_output() or _outside(value, region):
            _restore(graph, value, region, shape)


def _restore(graph: ir.Graph, value: ir.Value, region: Region, shape: tuple[int, ...]) -> None:
    """Gives those outside the region what they had."""
    node, name = value.producer(), value.name or ""
    assert node is not None
    dims = add_constant(graph, np.array(shape, np.int64), f"{name}.shape")
    restored = ir.Node("", "Reshape", [value, dims], name=fresh(graph, f"{name}.restored"))
    output = restored.outputs[0]
    output.type, output.shape = value.type, ir.Shape(shape)
    output.name, value.name = name, fresh(graph, f"{name}.rows")
    graph.insert_after(node, restored)
    provenance.inserted(graph, restored)
    if value.is_graph_output():
        graph.outputs[list(graph.outputs).index(value)] = output
    for user, index in [(use.node, use.idx) for use in value.uses()]:
        if user not in region and user is not restored:
            user.replace_input_with(index, output)
