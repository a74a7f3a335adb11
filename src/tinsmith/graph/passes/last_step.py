"""Takes the last step of a GRU's or LSTM's sequence from Y_h instead of cutting it out of Y.

Where there is one direction, Y_h holds what Y[-1] does: the hidden state after the last step. A Gather or Slice that
takes the last step of Y, or the first of the reversed Y, becomes a Reshape of Y_h. Exact, on the chip too: both
outputs have one exponent.
"""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from tinsmith.graph.edit import (
    constant,
    each,
    fresh,
    get_int,
    get_ints,
    get_string,
    graph_of,
    input_of,
    integers,
    present,
    shape_of,
)
from tinsmith.graph.passes.reshapes import keeps_order, reshape

_KINDS = ("GRU", "LSTM")
_SHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Gather", "Slice"), _take)


def _take(node: ir.Node) -> bool:
    index = _only_index(node)
    if index is None:
        return False
    axis, place = index
    shape = shape_of(present(node, 0))
    found = _sequence(present(node, 0))
    if found is None or prod(shape[:axis]) != 1:
        return False
    layer, reversed_in_time = found
    hidden = shape_of(layer.outputs[0])[3]
    if prod(shape[axis + 1 :]) != hidden or place != (0 if reversed_in_time else shape[axis] - 1):
        return False
    reshape(node, last_state(layer))
    return True


def _only_index(node: ir.Node) -> tuple[int, int] | None:
    """(axis, index) where a node takes one index of one axis; None otherwise."""
    if node.op_type == "Gather":
        axis, indices = get_int(node, "axis", 0), constant(input_of(node, 1))
        if indices is None or indices.size != 1:
            return None
        return axis, int(indices.reshape(-1)[0]) % shape_of(present(node, 0))[axis]
    starts, axes, steps = (integers(input_of(node, place)) for place in (1, 3, 4))
    if starts is None or axes is None or steps is None or len(axes) != 1 or steps[0] < 1:
        return None
    one = shape_of(node.outputs[0])[axes[0]] == 1
    return (axes[0], starts[0] % shape_of(present(node, 0))[axes[0]]) if one else None


def _sequence(value: ir.Value) -> tuple[ir.Node, bool] | None:
    """The layer of one direction whose Y this is in other shapes, and whether it is reversed in time."""
    reversed_in_time = False
    while (node := value.producer()) is not None:
        if node.op_type in _KINDS:
            return (node, reversed_in_time) if value is node.outputs[0] and _plain(node) else None
        if node.op_type == "ReverseSequence":
            shape = shape_of(value)
            time, batch = get_int(node, "time_axis", 0), get_int(node, "batch_axis", 1)
            whole = constant(input_of(node, 1))
            if (time, batch) != (0, 1) or shape[1] != 1 or whole is None or whole.tolist() != [shape[0]]:
                return None
            reversed_in_time = not reversed_in_time
        elif node.op_type == "Transpose":
            if not keeps_order(shape_of(present(node, 0)), get_ints(node, "perm", ())):
                return None
        elif node.op_type not in _SHAPING:
            return None
        value = present(node, 0)
    return None


def _plain(layer: ir.Node) -> bool:
    """One sequence with time first, all of it, in one direction."""
    single = get_string(layer, "direction", "forward") == "forward" and shape_of(present(layer, 0))[1] == 1
    return single and not get_int(layer, "layout", 0) and input_of(layer, 4) is None


def last_state(layer: ir.Node) -> ir.Value:
    """Y_h of a layer, which gets this output where it has none."""
    if len(layer.outputs) < 2:
        layer.resize_outputs(2)
    state, y = layer.outputs[1], layer.outputs[0]
    if not state.name:
        state.name = fresh(graph_of(layer), f"{layer.name}.Y_h")
    state.shape, state.type = ir.Shape(shape_of(y)[1:]), y.type
    return state
