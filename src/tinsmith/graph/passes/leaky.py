"""Activations with a slope below zero, spelled out, become LeakyRelu or PRelu.

relu(x) - α · relu(-x), relu(x) + α/2 · (x - |x|), max(x, 0) + α · min(x, 0) and whatever else is made of sums, scales
and bounds of one x: what it computes at 1, at -1, at a few other numbers and beyond
every bound among its constants decides. A slope that is the same
everywhere is LeakyRelu's, one that varies along one axis PRelu's. Equal up to the rounding of float operations.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import Array, add_constant, each, graph_of, is_float, shape_of, swap
from tinsmith.graph.formula import Formula, Places, between, computed, variables

_BENDING = frozenset(("Relu", "LeakyRelu", "Abs", "Max", "Min", "Clip"))
_PARTS = _BENDING | {"Add", "Sub", "Mul", "Div", "Neg"}
_MOST_NODES = 8
_TOLERANCE = 1e-6
_POINTS = (0.0, 0.3, -0.7, 5.0, 1e3, -1e3)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Add", "Sub"), partial(_fuse, Places()))


def _fuse(order: Places, node: ir.Node) -> bool:
    output = node.outputs[0]
    if len(computed(node)) != 2 or not is_float(output):
        return False
    formula = _formula(node, order)
    if formula is None:
        return False
    slope = _slope(formula)
    if slope is None:
        return False
    if slope.size == 1:
        swap(node, "LeakyRelu", [formula.source], {"alpha": float(slope.reshape(-1)[0])})
    else:
        slopes = add_constant(graph_of(node), slope.astype(np.float32), f"{node.name}.slope")
        swap(node, "PRelu", [formula.source, slopes])
    return True


def _formula(node: ir.Node, order: Places) -> Formula | None:
    """The node as a function of the nearest value both operands come from."""
    output = node.outputs[0]
    source = next((value for value in variables(output, order) if value is not output), None)
    if source is None or shape_of(source) != shape_of(output):
        return None
    formula = between(source, output, order)
    if formula is None or len(formula.nodes) > _MOST_NODES:
        return None
    kinds = {part.op_type for part in formula.nodes}
    return formula if kinds <= _PARTS and kinds & _BENDING else None


def _slope(formula: Formula) -> Array | None:
    """The slope below zero where above it is 1, in as few elements as it has; None for other functions."""
    shape, function = shape_of(formula.source), formula.function()
    ones = np.ones(shape)
    slope = -np.asarray(function(-ones))
    if slope.shape != shape or not np.allclose(function(ones), 1, rtol=0, atol=_TOLERANCE):
        return None
    # Bounds elsewhere than at 0 (ReLU6) show on one of their sides.
    beyond = (sign * factor * number for number in formula.numbers() for sign in (1, -1) for factor in (0.5, 2))
    for point in (*_POINTS, *beyond):
        expected = np.maximum(point, 0) + slope * min(point, 0)
        if not np.allclose(function(ones * point), expected, rtol=_TOLERANCE, atol=_TOLERANCE):
            return None
    for axis in range(slope.ndim):
        first = np.take(slope, [0], axis)
        slope = first if np.all(slope == first) else slope
    varying = [axis for axis, length in enumerate(slope.shape) if length > 1]
    if len(varying) > 1:
        return None
    return slope.reshape(slope.shape[varying[0] :]) if varying else slope
