"""Letting the layers behind a tensor take its channels in another order, in their constants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinsmith.graph.edit import (
    constant,
    get_int,
    input_of,
    integers,
    is_constant,
    operands,
    present,
    set_constant,
    shape_of,
)
from tinsmith.graph.linear import is_linear
from tinsmith.ops import operators

Order = NDArray[np.int64]
_Change = Callable[[], None]

_ELEMENTWISE = frozenset(n for n, operator in operators().items() if operator.function is not None) | {"Identity"}
"""On single elements, one operand."""
_POOLS = ("MaxPool", "AveragePool", "GlobalAveragePool")


def reorder(value: ir.Value, order: Order) -> bool:
    """Changes all readers of a value so that its channels may come in another order.

    The order goes through activations, pools, depthwise convolutions and Flatten, and ends in the weights of Conv,
    ConvTranspose, Gemm and MatMul.

    Args:
        value: (N, C, …), or (N, C).
        order: Channel i will hold what channel ``order[i]`` holds now.

    Returns:
        False, and nothing changed, where a reader cannot be told.
    """
    changes = _readers(value, order)
    if changes is None:
        return False
    for change in changes:
        change()
    return True


def _readers(value: ir.Value, order: Order) -> list[_Change] | None:
    if value.is_graph_output() or not value.uses():
        return None
    found: list[_Change] = []
    for node, index in value.uses():
        changes = _reader(node, order) if index == 0 and value not in operands(node)[1:] else None
        if changes is None:
            return None
        found += changes
    return found


def _reader(node: ir.Node, order: Order) -> list[_Change] | None:
    kind = node.op_type
    if len(node.outputs) > 1:
        return None
    if kind in _ELEMENTWISE or kind in _POOLS:
        return _readers(node.outputs[0], order) if len(operands(node)) == 1 or kind == "Clip" else None
    if kind == "Pad":
        amounts, rank = integers(input_of(node, 1)), len(shape_of(present(node, 0)))
        spatial = amounts is not None and len(amounts) == 2 * rank and not amounts[1] and not amounts[1 + rank]
        return _readers(node.outputs[0], order) if spatial else None
    if kind == "Flatten":
        return _flattened(node, order)
    return _linear(node, order) if is_linear(node) else None


def _flattened(node: ir.Node, order: Order) -> list[_Change] | None:
    """Each channel becomes a run of neighbours."""
    shape = shape_of(present(node, 0))
    if get_int(node, "axis", 1) != 1 or shape[0] != 1:
        return None
    run = int(np.prod(shape[2:], dtype=np.int64))
    return _readers(node.outputs[0], (order[:, None] * run + np.arange(run)).reshape(-1))


def _linear(node: ir.Node, order: Order) -> list[_Change] | None:
    weights, group = constant(input_of(node, 1)), get_int(node, "group", 1)
    assert weights is not None
    if node.op_type == "MatMul" and len(shape_of(present(node, 0))) != 2:
        return None
    if group == 1:
        axis = 1 if node.op_type == "Conv" else 0
        return [lambda: set_constant(node, 1, weights.take(order, axis=axis))]
    filters = weights.shape[0] if node.op_type == "Conv" else weights.shape[0] * weights.shape[1]
    if group != len(order) or filters != group:
        return None
    behind = _readers(node.outputs[0], order)
    return None if behind is None else [lambda: _depthwise(node, order), *behind]


def _depthwise(node: ir.Node, order: Order) -> None:
    for index in (1, 2):
        array = constant(input_of(node, index))
        if array is not None and is_constant(input_of(node, index)):
            set_constant(node, index, array.take(order, axis=0))
