"""1 / (1 + exp(-x)) is Sigmoid.

Matched with Reciprocal or a constant 1 divided by the sum, and with either order of the sum. Equal up to the rounding
of three float operations.
"""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.graph.edit import each, input_of, operands, present, producer, scalar, shape_of, swap


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Div", "Reciprocal"), _fuse)


def _fuse(node: ir.Node) -> bool:
    if node.op_type == "Div" and scalar(input_of(node, 0)) != 1.0:
        return False
    source = one_plus_exp(present(node, len(node.inputs) - 1))
    if source is None or shape_of(source) != shape_of(node.outputs[0]):
        return False
    swap(node, "Sigmoid", [source])
    return True


def one_plus_exp(value: ir.Value) -> ir.Value | None:
    """The x of 1 + exp(-x), None for anything else."""
    total = producer(value, "Add")
    if total is None or len(operands(total)) != 2:
        return None
    for term, other in (operands(total), operands(total)[::-1]):
        exponential = producer(term, "Exp")
        if exponential is None or scalar(other) != 1.0:
            continue
        negative = producer(present(exponential, 0), "Neg", "Mul")
        if negative is None:
            return None
        if negative.op_type == "Neg":
            return present(negative, 0)
        for index in (0, 1):
            if scalar(negative.inputs[1 - index]) == -1.0:
                return present(negative, index)
    return None
