"""Folds scales and shifts behind Reshapes and Transposes of a layer's output into its weights and bias.

Moving elements and scaling them can be exchanged if the numbers are moved back. The bias behind a projection that is
split into heads ends in the projection so, and so does the scale of the queries. A scale of the scores, Q Kᵀ, is taken
to the queries or the keys first, where their layer can take it in. Only where nobody else sees what lies between.
Equal up to the rounding of the new weights.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from tinsmith.graph import affine, linear
from tinsmith.graph.edit import (
    Array,
    add_constant,
    each,
    graph_of,
    insert,
    is_constant,
    only_user,
    present,
    producer,
    replace,
    shape_of,
)
from tinsmith.graph.passes.transposes import perm_of
from tinsmith.ops.reshape import groups

MOVERS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")
_LARGEST = 1 << 16


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("Mul", "Div"), _scores)
    return changed | each(graph, affine.KINDS, _fold)


def _fold(node: ir.Node) -> bool:
    found = affine.read(node)
    if found is None or only_user(found.source) is not node or producer(found.source, *MOVERS) is None:
        return False
    layer, scale, shift = moved_back(found.source, found.scale, found.shift)
    if layer is None or not linear.is_linear(layer):
        return False
    moved = affine.Affine(layer.outputs[0], scale, shift)
    vectors = moved.along(linear.channel_axis(layer))
    if vectors is None or not linear.scale_outputs(layer, *vectors):
        return False
    return replace(node.outputs[0], found.source, keep_name=True)


def _scores(node: ir.Node) -> bool:
    """S · (a b) is (s · a) b; where a constant goes nowhere from there it stays."""
    found = affine.read(node)
    product = None if found is None else producer(found.source, "MatMul")
    if found is None or product is None or found.scale.size != 1 or only_user(found.source) is not node:
        return False
    if any(is_constant(operand) for operand in product.inputs):
        return False
    for index in (0, 1):
        operand = present(product, index)
        layer = None if only_user(operand) is not product else moved_back(operand, found.scale, found.shift)[0]
        if layer is None or not linear.is_linear(layer):
            continue
        number = add_constant(graph_of(node), found.scale.astype(np.float32), f"{node.name}.scale")
        scaled = insert(product, "Mul", [operand, number], shape_of(operand), name=f"{node.name}.scaled")
        product.replace_input_with(index, scaled)
        return replace(node.outputs[0], product.outputs[0], keep_name=True)
    return False


def moved_back(value: ir.Value, scale: Array, shift: Array) -> tuple[ir.Node | None, Array, Array]:
    """The layer whose output a value is after being moved, and its scale and shift in the order of that output.

    None where somebody else sees what lies between, or the numbers differ in a way that cannot be moved.
    """
    numbers = []
    for array in (scale, shift):
        rank = len(shape_of(value))
        numbers.append(array.reshape((1,) * (rank - array.ndim) + array.shape))
    mover = producer(value, *MOVERS)
    while mover is not None:
        source = present(mover, 0)
        if only_user(source) is not mover:
            return None, scale, shift
        for index, array in enumerate(numbers):
            before = _back(mover, array)
            if before is None:
                return None, scale, shift
            numbers[index] = before
        mover, value = producer(source, *MOVERS), source
    return value.producer(), numbers[0], numbers[1]


def _back(mover: ir.Node, array: Array) -> Array | None:
    """Numbers that broadcast to a mover's output as ones that broadcast to its input."""
    old, new = shape_of(present(mover, 0)), shape_of(mover.outputs[0])
    if mover.op_type == "Transpose":
        return array.transpose(np.argsort(perm_of(mover)))
    if array.size == 1:
        return array.reshape((1,) * len(old))
    before: list[int] = []
    full: list[int] = []
    for group in groups(old, new):
        given = [array.shape[axis] for axis in group.after]
        wanted = [new[axis] for axis in group.after]
        constant = prod(given) == 1
        full += given if constant else wanted
        before += [1 if constant else old[axis] for axis in group.before]
    if prod(full) > _LARGEST:
        return None
    return np.broadcast_to(array, full).reshape(before)
