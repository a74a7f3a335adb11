"""Powers and magnitudes in the operators that compute them best.

- xⁿ by a constant n: 2 is x · x, 3 is x · x · x, 1/2 is Sqrt, -1 is a quotient; other powers stay.
- 1/x is Div, which rounds once; x · (1/y) is x / y.
- |x| is LeakyRelu with the slope -1, exact in integers.
- Reductions over no axes at all (`noop_with_empty_axes`) are what they do to one element: |x|, x · x, Log or nothing.

Equal up to the rounding of float operations.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    add_constant,
    each,
    get_int,
    graph_of,
    input_of,
    insert,
    integers,
    is_float,
    only_user,
    present,
    producer,
    scalar,
    shape_of,
    swap,
)

ENABLES: tuple[str, ...] = ("Abs", "Reciprocal")
_OF_ONE_ELEMENT = {
    "ReduceL1": "Abs",
    "ReduceL2": "Abs",
    "ReduceSumSquare": "Mul",
    "ReduceLogSum": "Log",
    "ReduceLogSumExp": "Identity",
}


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("Pow",), _power)
    changed |= each(graph, ("Mul",), _quotient)
    changed |= each(graph, ("Reciprocal",), _reciprocal)
    changed |= each(graph, _OF_ONE_ELEMENT, _over_nothing)
    return changed | each(graph, ("Abs",), _magnitude)


def _power(node: ir.Node) -> bool:
    base, exponent = present(node, 0), scalar(input_of(node, 1))
    shape = shape_of(base)
    if exponent is None or not is_float(base) or shape != shape_of(node.outputs[0]):
        return False
    if exponent == 1.0:
        swap(node, "Identity", [base])
    elif exponent == 0.5:
        swap(node, "Sqrt", [base])
    elif exponent == -1.0:
        swap(node, "Div", [_one(node), base])
    elif exponent == 2.0:
        swap(node, "Mul", [base, base])
    elif exponent == 3.0:
        square = insert(node, "Mul", [base, base], shape, name=f"{node.name}.square")
        swap(node, "Mul", [square, base])
    else:
        return False
    return True


def _one(node: ir.Node) -> ir.Value:
    return add_constant(graph_of(node), np.array(1, dtype=np.float32), f"{node.name}.one")


def _quotient(node: ir.Node) -> bool:
    for index in (0, 1):
        inverse = producer(node.inputs[1 - index], "Reciprocal")
        if inverse is not None and only_user(inverse.outputs[0]) is node:
            swap(node, "Div", [present(node, index), present(inverse, 0)])
            return True
    return False


def _reciprocal(node: ir.Node) -> bool:
    if not is_float(node.outputs[0]):
        return False
    swap(node, "Div", [_one(node), present(node, 0)])
    return True


def _magnitude(node: ir.Node) -> bool:
    if not is_float(node.outputs[0]):
        return False
    swap(node, "LeakyRelu", [present(node, 0)], {"alpha": -1.0})
    return True


def _over_nothing(node: ir.Node) -> bool:
    source, axes = present(node, 0), input_of(node, 1)
    none = axes is None or integers(axes) == ()
    if not none or not get_int(node, "noop_with_empty_axes", 0) or not is_float(source):
        return False
    kind = _OF_ONE_ELEMENT[node.op_type]
    swap(node, kind, [source, source] if kind == "Mul" else [source])
    return True
