"""Channels that are cut apart and joined again: a Concat of Slices and Split results of one tensor.

Where each channel comes exactly once, in the same order, nothing has happened. In another order, what follows takes the
channels in the old one, if it can (`tinsmith.graph.channel_order`). Exact.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.channel_order import Order, reorder
from tinsmith.graph.edit import each, get_int, input_of, integers, operands, present, replace, shape_of, swap


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Concat",), _join)


def _join(node: ir.Node) -> bool:
    result = node.outputs[0]
    if len(shape_of(result)) < 2 or get_int(node, "axis", 0) != 1:
        return False
    parts = [_part(value) for value in operands(node)]
    source = parts[0][0] if parts[0] is not None else None
    if source is None or shape_of(source) != shape_of(result):
        return False
    rows = [part[1] for part in parts if part is not None and part[0] is source]
    order = np.concatenate(rows)
    if len(rows) < len(parts) or sorted(order.tolist()) != list(range(shape_of(source)[1])):
        return False
    if np.all(np.diff(order) == 1):
        return replace(result, source) or bool(swap(node, "Identity", [source]))
    return not result.is_graph_output() and reorder(result, np.argsort(order)) and replace(result, source)


def _part(value: ir.Value) -> tuple[ir.Value, Order] | None:
    """The tensor of which a value is some channels, and which."""
    node = value.producer()
    if node is None or node.op_type not in ("Slice", "Split"):
        return None
    source = present(node, 0)
    every = np.arange(shape_of(source)[1] if len(shape_of(source)) > 1 else 0)
    if node.op_type == "Split":
        sizes = [shape_of(part)[1] for part in node.outputs] if get_int(node, "axis", 0) == 1 else []
        borders = np.cumsum([0, *sizes])
        at = list(node.outputs).index(value)
        return (source, every[borders[at] : borders[at + 1]]) if sizes else None
    starts, ends, axes, steps = (integers(input_of(node, index)) for index in range(1, 5))
    if starts is None or ends is None or steps is None or axes != (1,):
        return None
    # A backward slice up to the first element ends far before it.
    end = ends[0] if ends[0] >= -len(every) else None
    return source, every[starts[0] : end : steps[0]]
