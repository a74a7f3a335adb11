"""Pools over three dimensions, as two pools over two and one.

The largest element, and the mean, of a box is that of its layers' largest elements or means: first over height and
width, the depth being channels meanwhile, then over the depth, height and width being one dimension. The divisors of
AveragePool are products over the dimensions, whichever padding counts. Global pools see depth and height as one
dimension. Exact for maxima, equal up to rounding for means.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from tinsmith.graph.edit import (
    Attribute,
    each,
    get_int,
    get_ints,
    insert,
    present,
    shape_of,
)
from tinsmith.graph.passes.reshapes import reshape, reshaped


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("MaxPool", "AveragePool"), _windows)
    return changed | each(graph, ("GlobalMaxPool", "GlobalAveragePool"), _whole)


def _windows(node: ir.Node) -> bool:
    source, result = present(node, 0), shape_of(node.outputs[0])
    if len(result) != 5 or len(node.outputs) > 1 or "auto_pad" in node.attributes:
        return False
    batch, channels, depth, height, width = shape_of(source)
    value = reshaped(node, source, (batch, channels * depth, height, width), "layers")
    value = _pool(node, value, (batch, channels * depth, *result[3:]), (1, 2))
    area = result[3] * result[4]
    value = reshaped(node, value, (batch, channels, depth, area), "columns")
    value = _pool(node, value, (batch, channels, result[2], area), (0, None))
    reshape(node, value)
    return True


def _pool(node: ir.Node, value: ir.Value, shape: Sequence[int], axes: Sequence[int | None]) -> ir.Value:
    """The pool along some of the node's dimensions; along None it changes nothing."""
    pads = get_ints(node, "pads", (0,) * 6)
    attributes: dict[str, Attribute] = {
        name: [1 if axis is None else get_ints(node, name, (1, 1, 1))[axis] for axis in axes]
        for name in ("kernel_shape", "strides", "dilations")
    }
    attributes["pads"] = [0 if axis is None else pads[axis + side] for side in (0, 3) for axis in axes]
    attributes["ceil_mode"] = get_int(node, "ceil_mode", 0)
    if node.op_type == "AveragePool":
        attributes["count_include_pad"] = get_int(node, "count_include_pad", 0)
    return insert(node, node.op_type, [value], shape, attributes, name=f"{node.name}.flat")


def _whole(node: ir.Node) -> bool:
    source = present(node, 0)
    if len(shape_of(source)) != 5:
        return False
    batch, channels, depth, height, width = shape_of(source)
    value = reshaped(node, source, (batch, channels, depth, height * width), "layers")
    pooled = insert(node, node.op_type, [value], (batch, channels, 1, 1), name=f"{node.name}.flat")
    reshape(node, pooled)
    return True
