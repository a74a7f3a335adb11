"""Where, and truth values that are computed with, become arithmetic on zeros and ones.

- where(a > b, a, b) is the larger of both, and with < the smaller.
- where(c, a, b) is a · c + b · (1 - c). Constant conditions make constant factors, and constant summands where a or b
  is constant too.
- Conditions that are computed are cast to numbers: `and` is a product, `or` the larger, `exclusive or` the distance,
  `not` 1 minus. A comparison with a number is a function of one tensor, so it becomes a look-up table
  (`tinsmith.graph.functions`); one of two tensors is the comparison of their difference with 0, whose sign is exact
  however far it saturates.

Factors 0 and 1 round nothing beyond the format of the result. Constants larger than `LARGEST` stay, since the result
would have room for nothing else. What is a function of one tensor is left alone. Equal for finite operands.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    Array,
    add_constant,
    constant,
    each,
    graph_of,
    insert,
    is_constant,
    is_float,
    operands,
    present,
    producer,
    replace,
    shape_of,
    swap,
)
from tinsmith.graph.formula import of_one_variable

ENABLES: tuple[str, ...] = ("Where", "And", "Or", "Xor", "Not")
LARGEST = 1e4
_COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Where",), _where) | each(graph, ("Cast",), _number)


def _where(node: ir.Node) -> bool:
    condition, one, other = (present(node, index) for index in range(3))
    if not is_float(node.outputs[0]):
        return False
    kind = _extreme(condition, one, other)
    if kind is not None:
        swap(node, kind, [one, other])
        return True
    if not _moderate(one, other):
        return False
    chosen = constant(condition)
    if chosen is not None:
        return _by_constant(node, chosen, one, other)
    if of_one_variable(node) or not _computable(condition):
        return False
    shape, name = shape_of(condition), node.name or "Where"
    mask = insert(node, "Cast", [condition], shape, {"to": 1}, name=f"{name}.mask", dtype=ir.DataType.FLOAT)

    def rest() -> ir.Value:
        unit = add_constant(graph_of(node), np.array(1, dtype=np.float32), f"{name}.one")
        return insert(node, "Sub", [unit, mask], shape, name=f"{name}.rest")

    _sum(node, shape, (one, lambda: mask), (other, rest))
    return True


def _extreme(condition: ir.Value, one: ir.Value, other: ir.Value) -> str | None:
    """Max or Min, where the two are what is compared."""
    comparison = producer(condition, "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
    if comparison is None or {*operands(comparison)} != {one, other}:
        return None
    return "Max" if comparison.op_type.startswith("Greater") == (comparison.inputs[0] is one) else "Min"


def _moderate(*values: ir.Value) -> bool:
    arrays = (constant(value) for value in values)
    return all(array is None or bool(np.all(np.abs(array) <= LARGEST)) for array in arrays)


def _by_constant(node: ir.Node, chosen: Array, one: ir.Value, other: ir.Value) -> bool:
    shape = shape_of(node.outputs[0])
    for value, same in ((one, chosen.all()), (other, not chosen.any())):
        if same and shape_of(value) == shape and replace(node.outputs[0], value):
            return True
    mask = chosen.astype(np.float32)
    _sum(node, mask.shape, (one, mask), (other, 1 - mask))
    return True


def _sum(node: ir.Node, shape: tuple[int, ...], *products: tuple[ir.Value, Array | Callable[[], ir.Value]]) -> None:
    """Puts the sum of the products in the place of a node, constants multiplied at once, zeros left out.

    Args:
        node: The node.
        shape: Of the factors.
        products: What is multiplied, and the factors.
    """
    graph, name, terms = graph_of(node), node.name or "Where", []
    shapes = [np.broadcast_shapes(shape_of(value), shape) for value, _ in products]
    zero = [_is_zero(value, factor) for value, factor in products]
    for index, (value, factor) in enumerate(products):
        if zero[index] and not zero[1 - index] and shapes[1 - index] == shape_of(node.outputs[0]):
            continue
        array = constant(value)
        if array is not None and not callable(factor):
            terms.append(add_constant(graph, np.asarray(array * factor, np.float32), f"{name}.constant"))
            continue
        number = factor() if callable(factor) else add_constant(graph, factor, f"{name}.mask")
        terms.append(insert(node, "Mul", [value, number], shapes[index], name=f"{name}.chosen"))
    swap(node, "Add" if len(terms) == 2 else "Identity", terms)


def _is_zero(value: ir.Value, factor: Array | Callable[[], ir.Value]) -> bool:
    array = constant(value)
    return array is not None and not np.any(array if callable(factor) else array * factor)


# ---- truth values as numbers


def _computable(value: ir.Value) -> bool:
    """Whether truth values can be computed as zeros and ones."""
    node = value.producer()
    if is_constant(value):
        return True
    if node is None:
        return False
    if of_one_variable(node):
        return True
    if node.op_type in _COMPARISONS:
        return all(is_float(operand) for operand in operands(node))
    return node.op_type in ("And", "Or", "Xor", "Not") and all(_computable(operand) for operand in operands(node))


def _number(node: ir.Node) -> bool:
    """A Cast of truth values to floats."""
    condition = present(node, 0)
    source = condition.producer()
    if not is_float(node.outputs[0]) or condition.dtype != ir.DataType.BOOL or source is None:
        return False
    if of_one_variable(node) or not _computable(condition):
        return False
    if source.op_type in _COMPARISONS:
        return _of_difference(node, source)
    name, graph = node.name or "Cast", graph_of(node)
    parts = [_cast(node, value) for value in operands(source)]
    if source.op_type == "And":
        swap(node, "Mul", parts)
    elif source.op_type == "Or":
        swap(node, "Max", parts)
    elif source.op_type == "Xor":
        difference = insert(node, "Sub", parts, shape_of(condition), name=f"{name}.difference")
        swap(node, "Abs", [difference])
    else:
        one = add_constant(graph, np.array(1, dtype=np.float32), f"{name}.one")
        swap(node, "Sub", [one, *parts])
    return True


def _cast(node: ir.Node, value: ir.Value) -> ir.Value:
    array = constant(value)
    if array is not None:
        return add_constant(graph_of(node), array.astype(np.float32), f"{value.name}.number")
    before = producer(value)
    label = f"{value.name if before is None else before.name}.number"
    return insert(node, "Cast", [value], shape_of(value), {"to": 1}, name=label, dtype=ir.DataType.FLOAT)


def _of_difference(node: ir.Node, source: ir.Node) -> bool:
    left, right = operands(source)
    shape, name = shape_of(source.outputs[0]), source.name or source.op_type
    difference = insert(node, "Sub", [left, right], shape, name=f"{name}.difference")
    zero = add_constant(graph_of(node), np.array(0, dtype=np.float32), f"{name}.zero")
    sign = insert(node, source.op_type, [difference, zero], shape, name=f"{name}.sign", dtype=ir.DataType.BOOL)
    swap(node, "Cast", [sign], {"to": 1})
    return True
