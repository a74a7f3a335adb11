"""Turns scales and shifts that stand alone into as few exact steps as possible.

- x - c is x + (-c); x / c is x · (1/c).
- Two scales in a row are one, and so are two shifts.
- BatchNormalization, and a scale followed by a shift (or the other way round) with one number per channel, become a
  depthwise 1×1 Conv where x has channels and one or two spatial dimensions: one rounding on the chip instead of two,
  with a bias as wide as the accumulator.
- BatchNormalization of other ranks becomes Mul and Add.
- Single numbers beside a function that becomes a look-up table stay, and become part of the table.

Runs after the folds into neighbouring layers. Computed in double precision: equal up to the rounding of constants.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.affine import KINDS, Affine, read
from tinsmith.graph.edit import (
    Array,
    add_constant,
    each,
    graph_of,
    insert,
    only_user,
    producer,
    shape_of,
    swap,
)
from tinsmith.ops.functions import OPERATORS as TABLES


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("Sub", "Div"), _plain)
    return changed | each(graph, KINDS, _merge)


def _plain(node: ir.Node) -> bool:
    """Rewrites x - c and x / c; c - x stays a Sub."""
    found = read(node)
    if found is None or found.source is not node.inputs[0]:
        return False
    return _write(node, found)


def _merge(node: ir.Node) -> bool:
    found = read(node)
    if found is None:
        return False
    before = producer(found.source, *KINDS)
    first = None if before is None or only_user(found.source) is not node else read(before)
    if first is not None:
        both = Affine(first.source, first.scale * found.scale, first.shift * found.scale + found.shift)
        if both.scales != both.shifts or (_is_depthwise(both) and not _joins_table(node, both)):
            return _write(node, both)
    return node.op_type == "BatchNormalization" and _write(node, found)


def _joins_table(node: ir.Node, affine: Affine) -> bool:
    """Whether the numbers are part of a function that becomes a table anyway (`tinsmith.graph.functions`)."""
    names = {operator.name for operator in TABLES}
    before = affine.source.producer()
    beside = [*node.outputs[0].consumers(), *([] if before is None else [before])]
    return affine.scale.size == affine.shift.size == 1 and any(other.op_type in names for other in beside)


def _is_depthwise(affine: Affine) -> bool:
    """Whether the numbers are one per channel of a map, and not the same number for a sequence's every step."""
    shape = shape_of(affine.source)
    scalars = affine.scale.size == affine.shift.size == 1
    return shape[0] == 1 and affine.along(1) is not None and (len(shape) == 4 or (len(shape) == 3 and not scalars))


def _write(node: ir.Node, affine: Affine) -> bool:
    graph, name, source = graph_of(node), node.name or node.op_type, affine.source
    if affine.scales and affine.shifts:
        vectors = affine.along(1) if _is_depthwise(affine) else None
        if vectors is not None:
            scale, shift = vectors
            ones = (1,) * (len(shape_of(source)) - 2)
            weights = add_constant(graph, scale.reshape(-1, 1, *ones).astype(np.float32), f"{name}.weight")
            bias = add_constant(graph, shift.astype(np.float32), f"{name}.bias")
            window = {"kernel_shape": ones, "strides": ones, "dilations": ones, "pads": (0,) * (2 * len(ones))}
            swap(node, "Conv", [source, weights, bias], {"group": len(scale), **window})
            return True
        source = insert(
            node, "Mul", [source, _number(graph, affine.scale, f"{name}.scale")], shape_of(source), name=name
        )
    op_type = "Add" if affine.shifts else "Mul"
    number = affine.shift if affine.shifts else affine.scale
    swap(node, op_type, [source, _number(graph, number, f"{name}.{'shift' if affine.shifts else 'scale'}")])
    return True


def _number(graph: ir.Graph, array: Array, name: str) -> ir.Value:
    return add_constant(graph, array.astype(np.float32), name)
