"""Softmax and LogSoftmax spelled out become Softmax and LogSoftmax.

- exp(x) / Σ exp(x), the sum along one axis: Softmax;
- x - log Σ exp(x), and log of Softmax: LogSoftmax;
- either of x - max(x), the maximum along its axis: of x, since adding the same to all elements changes neither.

Equal by definition, up to the rounding of float operations. Exponentials on their own are not: an int8 step of theirs
is as large as many small ones together.
"""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.graph.edit import (
    discard,
    each,
    get_int,
    input_of,
    integers,
    is_float,
    only_user,
    present,
    producer,
    shape_of,
    swap,
)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("Div",), _quotient)
    changed |= each(graph, ("Sub",), _difference)
    changed |= each(graph, ("Log",), _logarithm)
    return changed | each(graph, ("Softmax", "LogSoftmax"), _lowered)


def _quotient(node: ir.Node) -> bool:
    power, total = (present(node, index) for index in (0, 1))
    inner = producer(power, "Exp")
    axis = _axis_of(total, "ReduceSum", power)
    if inner is None or axis is None or not _only_in(power, 2):
        return False
    swap(node, "Softmax", [present(inner, 0)], {"axis": axis})
    return True


def _difference(node: ir.Node) -> bool:
    x, total = (present(node, index) for index in (0, 1))
    axis = _axis_of(total, "ReduceLogSumExp", x)
    if axis is None:
        logarithm = producer(total, "Log")
        power = None if logarithm is None else _summed(present(logarithm, 0))
        inner = producer(power, "Exp")
        if logarithm is None or power is None or inner is None or present(inner, 0) is not x:
            return False
        axis = _axis_of(present(logarithm, 0), "ReduceSum", power)
    if axis is None or not is_float(x):
        return False
    swap(node, "LogSoftmax", [x], {"axis": axis})
    return True


def _summed(value: ir.Value) -> ir.Value | None:
    """What is summed up to a value, None where it is no sum."""
    node = producer(value, "ReduceSum")
    return None if node is None else present(node, 0)


def _logarithm(node: ir.Node) -> bool:
    source = producer(present(node, 0), "Softmax")
    if source is None or only_user(source.outputs[0]) is not node:
        return False
    axis = get_int(source, "axis", -1)
    swap(node, "LogSoftmax", [present(source, 0)], {"axis": axis})
    return True


def _lowered(node: ir.Node) -> bool:
    difference = producer(present(node, 0), "Sub")
    if difference is None:
        return False
    x, largest = (present(difference, index) for index in (0, 1))
    axis = get_int(node, "axis", -1) % len(shape_of(present(node, 0)))
    if _axis_of(largest, "ReduceMax", x) != axis:
        return False
    node.replace_input_with(0, x)
    discard(difference)
    return True


def _axis_of(value: ir.Value, op_type: str, source: ir.Value) -> int | None:
    """The one axis along which ``op_type`` reduces ``source`` to a value that keeps it; None where it does not."""
    node = producer(value, op_type)
    if node is None or present(node, 0) is not source or not get_int(node, "keepdims", 1):
        return None
    axes = integers(input_of(node, 1))
    rank = len(shape_of(source))
    if axes is None or len(axes) != 1:
        return 0 if not axes and rank == 1 and not get_int(node, "noop_with_empty_axes", 0) else None
    return axes[0] % rank


def _only_in(value: ir.Value, count: int) -> bool:
    """Whether a value is used so many times and nowhere else."""
    return len(tuple(value.uses())) == count and not value.is_graph_output()
