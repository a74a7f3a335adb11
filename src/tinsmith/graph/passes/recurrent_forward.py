"""GRU, LSTM and RNN as the runtime walks through them: time first, to the end of the input, forward.

- `layout` 1: with a batch of 1 the two layouts hold the same elements in the same order, so Reshapes lead in and out.
- `sequence_lens`, constant and shorter than the input: the input is cut behind the last step (Slice), and Y is filled
  up with zeros (Pad), as ONNX defines it; the last states are those of the last step.
- `direction` reverse: the input is reversed (ReverseSequence) and Y back again; Y_h and Y_c are the last states walked
  to in both cases. The runtime takes "bidirectional" as it is.

Exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from tinsmith.graph import provenance
from tinsmith.graph.edit import (
    Attribute,
    add_constant,
    constant,
    each,
    fresh,
    get_int,
    get_string,
    graph_of,
    input_of,
    insert,
    leave_out,
    present,
    set_attributes,
    shape_of,
)
from tinsmith.graph.passes.recurrent_defaults import KINDS
from tinsmith.graph.passes.reshapes import reshaped

_STATES = (5, 6)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, KINDS, _time_first)
    changed |= each(graph, KINDS, _whole)
    return changed | each(graph, KINDS, _forward)


def _time_first(node: ir.Node) -> bool:
    if not get_int(node, "layout", 0) or shape_of(present(node, 0))[0] != 1:
        return False
    for index in (0, *_STATES):
        value = input_of(node, index)
        if value is not None:
            batch, first, *rest = shape_of(value)
            shape = (first, batch, *rest)
            node.replace_input_with(index, reshaped(node, value, shape, "time_first"))
    for index, value in enumerate(node.outputs):
        before = shape_of(value)
        inner = (*before[1:3], before[0], before[3]) if index == 0 else (before[1], before[0], before[2])
        wanted = add_constant(graph_of(node), np.array(before, np.int64), f"{node.name}.batch_first")
        _behind(node, index, "Reshape", [wanted], inner)
    return set_attributes(node, {"layout": None})


def _whole(node: ir.Node) -> bool:
    lengths, x = constant(input_of(node, 4)), present(node, 0)
    if lengths is None or get_int(node, "layout", 0) or lengths.size != 1:
        return False
    length, (steps, *rest) = int(lengths.reshape(-1)[0]), shape_of(x)
    if not 0 < length < steps:
        return False
    bounds = [
        add_constant(graph_of(node), np.array([value], np.int64), f"{node.name}.{name}")
        for name, value in (("starts", 0), ("ends", length), ("axes", 0), ("steps", 1))
    ]
    node.replace_input_with(0, insert(node, "Slice", [x, *bounds], (length, *rest), name=f"{node.name}.cut"))
    leave_out(node, 4, 5)
    inner = (length, *shape_of(node.outputs[0])[1:])
    pads = add_constant(graph_of(node), np.array([0] * 4 + [steps - length, 0, 0, 0], np.int64), f"{node.name}.pads")
    _behind(node, 0, "Pad", [pads], inner, {"mode": "constant"})
    return True


def _forward(node: ir.Node) -> bool:
    x = present(node, 0)
    open_length = input_of(node, 4) is not None or get_int(node, "layout", 0)
    if get_string(node, "direction", "forward") != "reverse" or open_length or shape_of(x)[1] != 1:
        return False
    set_attributes(node, {"direction": None})
    if shape_of(x)[0] == 1:
        return True
    lengths = add_constant(graph_of(node), np.array([shape_of(x)[0]], np.int64), f"{node.name}.steps")
    axes: dict[str, Attribute] = {"batch_axis": 1, "time_axis": 0}
    turned = insert(node, "ReverseSequence", [x, lengths], shape_of(x), axes, name=f"{node.name}.turned")
    node.replace_input_with(0, turned)
    _behind(node, 0, "ReverseSequence", [lengths], shape_of(node.outputs[0]), axes)
    return True


def _behind(
    node: ir.Node,
    index: int,
    op_type: str,
    more: Sequence[ir.Value],
    inner: Sequence[int],
    attributes: dict[str, Attribute] | None = None,
) -> None:
    """Puts a node behind an output, where that is used; it takes over the output's name, shape and users.

    Args:
        node: The node with the output.
        index: Which one.
        op_type: Type of the node behind.
        more: Its inputs behind the first.
        inner: The new shape of the output itself.
        attributes: Its attributes.
    """
    old, graph = node.outputs[index], graph_of(node)
    if old.uses() or old.is_graph_output():
        label = fresh(graph, f"{node.name}.{op_type}")
        behind = ir.Node("", op_type, [old, *more], ir.convenience.convert_attributes(attributes or {}), name=label)
        output = behind.outputs[0]
        output.name, output.shape, output.type = old.name, old.shape, old.type
        graph.insert_after(node, behind)
        provenance.inserted(graph, behind)
        old.replace_all_uses_with(output, replace_graph_outputs=True)
        behind.replace_input_with(0, old)
        old.name = fresh(graph, f"{node.name}.{('Y', 'Y_h', 'Y_c')[index]}")
    old.shape = ir.Shape(inner)
