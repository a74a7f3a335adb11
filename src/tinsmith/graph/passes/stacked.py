"""Max, Min and Mean of several tensors become reductions of the tensors put one behind the other.

Concat and ReduceMax (ReduceMin) move and compare integers and round nothing; a mean is rounded once. Tensors of
different shapes are compared by max(a, b) = a + relu(b - a) and min(a, b) = a - relu(a - b), which broadcast; so are
tensors and constants along some axes, whose differences then fold into the layer before. A mean of them is a scaled
sum. Equal exactly, up to the rounding of a sum where there is one.

Numbers among the operands become a node of their own, which `clip` takes; operands that are there twice count once.
What is a function of one tensor only is left to `tinsmith.graph.functions`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    add_constant,
    constant,
    each,
    graph_of,
    insert,
    is_constant,
    is_float,
    operands,
    replace,
    scalar,
    shape_of,
    swap,
)
from tinsmith.graph.formula import of_one_variable

ENABLES: tuple[str, ...] = ("Max", "Min", "Mean")
_REDUCTIONS = {"Max": "ReduceMax", "Min": "ReduceMin", "Mean": "ReduceMean"}


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, _REDUCTIONS, _rewrite)


def _rewrite(node: ir.Node) -> bool:
    terms = list(operands(node))
    if not is_float(node.outputs[0]) or len(terms) < 2:
        return False
    if node.op_type != "Mean":
        distinct = list(dict.fromkeys(terms))
        if len(distinct) < len(terms):
            return _again(node, distinct)
        numbers = [term for term in terms if scalar(term) is not None]
        if numbers:
            tensors = [term for term in terms if term not in numbers]
            return len(terms) > 2 and _numbers_last(node, tensors, numbers)
    if of_one_variable(node):
        return False
    shape = shape_of(node.outputs[0])
    if shape and all(shape_of(term) == shape for term in terms):
        _stack(node, terms, shape)
        return True
    return _mean(node, terms) if node.op_type == "Mean" else _pairs(node, terms)


def _again(node: ir.Node, terms: Sequence[ir.Value]) -> bool:
    if len(terms) == 1 and replace(node.outputs[0], terms[0]):
        return True
    swap(node, node.op_type if len(terms) > 1 else "Identity", terms)
    return True


def _numbers_last(node: ir.Node, tensors: Sequence[ir.Value], numbers: Sequence[ir.Value]) -> bool:
    shape = np.broadcast_shapes(*(shape_of(tensor) for tensor in tensors))
    found = [number for number in (scalar(value) for value in numbers) if number is not None]
    limit = max(found) if node.op_type == "Max" else min(found)
    inner = tensors[0]
    if len(tensors) > 1:
        inner = insert(node, node.op_type, tensors, shape, name=f"{node.name}.tensors")
    # A number may have more dimensions than the tensors.
    rank = len(shape_of(node.outputs[0]))
    dims = (1,) * rank if rank > len(shape) else ()
    bound = add_constant(graph_of(node), np.full(dims, limit, np.float32), f"{node.name}.limit")
    swap(node, node.op_type, [inner, bound])
    return True


def _stack(node: ir.Node, terms: Sequence[ir.Value], shape: tuple[int, ...]) -> None:
    graph, name = graph_of(node), node.name or node.op_type
    row = shape if shape[0] == 1 else (1, *shape) if len(shape) < 4 else (1, math.prod(shape))
    if row != shape:
        wanted = add_constant(graph, np.array(row, dtype=np.int64), f"{name}.row")
        terms = [_reshaped(node, term, wanted, row) for term in terms]
    stacked = insert(node, "Concat", terms, (len(terms), *row[1:]), {"axis": 0}, name=f"{name}.stacked")
    axes = add_constant(graph, np.array([0], dtype=np.int64), f"{name}.axes")
    kind = _REDUCTIONS[node.op_type]
    if row == shape or row[1:] == shape:
        swap(node, kind, [stacked, axes], {"keepdims": int(row == shape)})
        return
    reduced = insert(node, kind, [stacked, axes], row, {"keepdims": 1}, name=f"{name}.reduced")
    swap(node, "Reshape", [reduced, add_constant(graph, np.array(shape, dtype=np.int64), f"{name}.shape")])


def _reshaped(node: ir.Node, value: ir.Value, wanted: ir.Value, shape: tuple[int, ...]) -> ir.Value:
    array = constant(value)
    if array is not None:
        return add_constant(graph_of(node), array.reshape(shape), value.name or "")
    return insert(node, "Reshape", [value, wanted], shape, name=f"{value.name}.row")


def _pairs(node: ir.Node, terms: Sequence[ir.Value]) -> bool:
    """Two operands of different shapes; more than two are taken in turn."""
    name = node.name or node.op_type
    if len(terms) > 2:
        first = insert(node, node.op_type, terms[:2], _common(terms[:2]), name=f"{name}.first")
        swap(node, node.op_type, [first, *terms[2:]])
        return True
    a, b = terms if not is_constant(terms[1]) else terms[::-1]
    shape = _common(terms)
    a, b = (_of_rank(node, value, len(shape)) for value in (a, b))
    largest = node.op_type == "Max"
    difference = insert(node, "Sub", [b, a] if largest else [a, b], shape, name=f"{name}.difference")
    above = insert(node, "Relu", [difference], shape, name=f"{name}.above")
    swap(node, "Add" if largest else "Sub", [above, a] if largest else [a, above])
    return True


def _of_rank(node: ir.Node, value: ir.Value, rank: int) -> ir.Value:
    """A computed operand with all dimensions, so that it can have the other's layout."""
    shape = (1,) * (rank - len(shape_of(value))) + shape_of(value)
    if is_constant(value) or shape == shape_of(value):
        return value
    wanted = add_constant(graph_of(node), np.array(shape, dtype=np.int64), f"{node.name}.shape")
    return _reshaped(node, value, wanted, shape)


def _mean(node: ir.Node, terms: Sequence[ir.Value]) -> bool:
    name, total = node.name or "Mean", terms[0]
    for term in terms[1:]:
        total = insert(node, "Add", [total, term], _common([total, term]), name=f"{name}.total")
    share = add_constant(graph_of(node), np.array(1 / len(terms), dtype=np.float32), f"{name}.share")
    swap(node, "Mul", [total, share])
    return True


def _common(terms: Sequence[ir.Value]) -> tuple[int, ...]:
    return np.broadcast_shapes(*(shape_of(term) for term in terms))
