"""Operators that do the same on tensors with permuted dimensions, and how they are told.

A node that works on tensors ``a = Transpose(b, perm)`` is changed to work on the ``b``: dimension i of a is dimension
perm[i] of b.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    REDUCTIONS,
    constant,
    get_int,
    input_of,
    integers,
    is_constant,
    known_shape,
    operands,
    present,
    set_attributes,
    set_constant,
    shape_of,
)
from tinsmith.ops.pointwise import functions

Perm = tuple[int, ...]
Change = Callable[[ir.Node, Perm], None]


def is_movable(node: ir.Node) -> bool:
    """Whether the node can be changed so: a known operator, and operands and results of one rank."""
    condition = _CONDITIONS.get(node.op_type)
    if node.op_type not in _CHANGES or (condition is not None and not condition(node)):
        return False
    rank = len(shape_of(node.outputs[0]))
    if node.op_type in _ONE_OPERAND:
        same = len(shape_of(present(node, 0))) == rank and not is_constant(node.inputs[0])
    else:
        same = all(is_constant(value) or len(shape_of(value)) == rank for value in operands(node))
    return rank >= 2 and same and all(len(known_shape(value) or ()) == rank for value in node.outputs)


def layout_inputs(node: ir.Node) -> tuple[ir.Value, ...]:
    """The operands whose dimensions are permuted with the node; constants of one element do not count."""
    candidates = (present(node, 0),) if node.op_type in _ONE_OPERAND else operands(node)
    return tuple(value for value in candidates if not is_constant(value) or np.prod(shape_of(value)) != 1)


def permute_constant(node: ir.Node, index: int, back: Perm) -> None:
    """Permutes a constant operand, whose rank may be lower than the node's, by the inverse perm."""
    array = constant(present(node, index))
    assert array is not None
    full = array.reshape((1,) * (len(back) - array.ndim) + array.shape)
    set_constant(node, index, full.transpose(back))


def permute_node(node: ir.Node, perm: Perm) -> None:
    """Changes axes and per-dimension numbers of a node to those of the tensors before ``perm``."""
    _CHANGES[node.op_type](node, perm)


def _nothing(node: ir.Node, perm: Perm) -> None:
    """Element-wise: no dimension has a name."""


def _axis(node: ir.Node, perm: Perm) -> None:
    set_attributes(node, {"axis": perm[get_int(node, "axis", 0)]})


def _axes(index: int) -> Change:
    """Input ``index`` lists axes, in the order of numbers elsewhere."""

    def change(node: ir.Node, perm: Perm) -> None:
        axes = [perm[axis] for axis in integers(input_of(node, index)) or ()]
        set_constant(node, index, np.array(axes, dtype=np.int64))

    return change


def _per_dimension(*indices: int) -> Change:
    """Inputs hold one number (or two: before and after) for each dimension."""

    def change(node: ir.Node, perm: Perm) -> None:
        for index in indices:
            array = constant(input_of(node, index))
            if array is None or not array.size:
                continue
            rows = array.reshape(-1, len(perm))
            moved = np.empty_like(rows)
            moved[:, list(perm)] = rows
            set_constant(node, index, moved.reshape(-1))

    return change


def _known(*indices: int) -> Callable[[ir.Node], bool]:
    return lambda node: all(input_of(node, index) is None or is_constant(node.inputs[index]) for index in indices)


def _is_kept(node: ir.Node) -> bool:
    return bool(get_int(node, "keepdims", 1)) and is_constant(input_of(node, 1))


def _is_resize_of_others(node: ir.Node) -> bool:
    """Whether a Resize changes other dimensions than the runtime's, which are behind batch and channels."""
    before, after = shape_of(present(node, 0)), shape_of(node.outputs[0])
    plain = input_of(node, 1) is None and "axes" not in node.attributes
    return plain and _known(2, 3)(node) and before[:2] != after[:2]


def _is_expand_of_same_rank(node: ir.Node) -> bool:
    return is_constant(input_of(node, 1)) and shape_of(present(node, 1)) == (len(shape_of(present(node, 0))),)


ELEMENTWISE = tuple(functions())
"""Operators that do the same on every element of their operands, repeated where they are shorter."""
_CHANGES: dict[str, Change] = {
    **dict.fromkeys(ELEMENTWISE, _nothing),
    **dict.fromkeys(("Concat", "Split", "Softmax", "LogSoftmax", "LpNormalization", "Gather"), _axis),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _axis),
    **dict.fromkeys(REDUCTIONS, _axes(1)),
    "Slice": _axes(3),
    "Pad": _per_dimension(1),
    "Tile": _per_dimension(1),
    "Expand": _per_dimension(1),
    "Resize": _per_dimension(2, 3),
}
# Operators whose further inputs are not laid out like the first.
_ONE_OPERAND = frozenset(
    (
        "Clip",
        "Split",
        "Gather",
        "QuantizeLinear",
        "DequantizeLinear",
        *REDUCTIONS,
        "Slice",
        "Pad",
        "Tile",
        "Expand",
        "Resize",
    )
)
_CONDITIONS: dict[str, Callable[[ir.Node], bool]] = {
    **dict.fromkeys(REDUCTIONS, _is_kept),
    "Slice": _known(1, 2, 3, 4),
    "Pad": lambda node: _known(1)(node) and len(node.inputs) < 4,
    "Tile": _known(1),
    "Expand": _is_expand_of_same_rank,
    "Resize": _is_resize_of_others,
    "Gather": lambda node: len(shape_of(present(node, 1))) == 1,
}
