"""Attention masks that fit the integers of the scores.

A mask adds -1e9 or minus infinity to the scores of keys that must not be seen, and Softmax makes zeros of them. The
scores and the mask share an exponent on the chip: with -1e9 every score would be zero. What matters is only that the
masked scores lie far below the others. So they become exactly -32: the scores are multiplied by zeros and ones, and the
summand is -32 at the zeros. Scores of up to ±32 keep an exponent of -2.

Matched: an Add of such a constant, and a Where by a constant between scores and such a constant, that lead to a Softmax
through nothing but further summands and reshaped dimensions. A constant counts as a mask if its numbers are either -40
and below or above -20: distances that grow gradually (ALiBi) stay as they are. So does a constant that lowers a whole
row: Softmax does not mind that, and it hides nothing. Below -1e9 it leaves nothing of the scores, all keys share alike,
and do so afterwards.

A masked key gets a share of at most exp(-32 - m) instead of 0, m being the largest score of its row: 1e-14 at m = 0,
and less than an 8-bit share shows down to m = -26. -16 would give int8 another bit, but let masked keys through where
all scores of a row lie far below zero, which Softmax itself does not mind.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    Array,
    add_constant,
    constant,
    each,
    get_int,
    graph_of,
    insert,
    is_constant,
    is_float,
    only_user,
    operands,
    present,
    producer,
    shape_of,
    swap,
)
from tinsmith.graph.passes.fold_affine_through import MOVERS
from tinsmith.graph.passes.transposes import perm_of

MASKED = -32.0
"""What masked scores become."""
_HARD = -40.0
_SOFT = -20.0
_ABSORBING = -1e9


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Where",), _where) | each(graph, ("Add",), _add)


def _feeds_softmax(value: ir.Value) -> bool:
    user = only_user(value)
    while user is not None and user.op_type in (*MOVERS, "Add"):
        user = only_user(user.outputs[0])
    return user is not None and user.op_type == "Softmax"


def _hides(output: ir.Value, hard: Array, values: Array, limit: float) -> bool:
    """Whether rows that are masked as a whole give the same shares whatever masks them: by equal numbers up to a limit.

    Args:
        output: What leads to a Softmax (`_feeds_softmax`).
        hard: What is masked, broadcastable to it.
        values: The mask, likewise.
        limit: The largest number that leaves nothing of the scores.
    """
    hard, values = (np.broadcast_to(array, shape_of(output)) for array in (hard, values))
    user = only_user(output)
    while user is not None and user.op_type != "Softmax":
        result = user.outputs[0]
        if user.op_type == "Transpose":
            hard, values = (array.transpose(perm_of(user)) for array in (hard, values))
        elif user.op_type == "Add":
            hard, values = (np.broadcast_to(array, shape_of(result)) for array in (hard, values))
        else:
            hard, values = (array.reshape(shape_of(result)) for array in (hard, values))
        user = only_user(result)
    assert user is not None
    axis = get_int(user, "axis", -1)
    whole, top = hard.all(axis), values.max(axis)
    return bool(np.all(~whole | ((top == values.min(axis)) & (top <= limit))))


def _is_mask(array: Array) -> bool:
    hard = array <= _HARD
    return bool(hard.any()) and not bool(((array > _HARD) & (array < _SOFT)).any())


def _add(node: ir.Node) -> bool:
    left, right = operands(node)
    scores, mask = (left, constant(right)) if is_constant(right) else (right, constant(left))
    if mask is None or is_constant(scores) or not is_float(scores) or not _is_mask(mask):
        return False
    if not _feeds_softmax(node.outputs[0]) or not _hides(node.outputs[0], mask <= _HARD, mask, _ABSORBING):
        return False
    return _apart(node, scores, mask <= _HARD, mask)


def _where(node: ir.Node) -> bool:
    condition, chosen, other = (present(node, index) for index in range(3))
    truth = constant(condition)
    if truth is None or is_constant(chosen) == is_constant(other) or not is_float(node.outputs[0]):
        return False
    scores, mask = (chosen, constant(other)) if is_constant(other) else (other, constant(chosen))
    assert mask is not None
    if not (mask <= _HARD).all() or not _feeds_softmax(node.outputs[0]):
        return False
    hard = np.broadcast_to(~truth if scores is chosen else truth, np.broadcast_shapes(truth.shape, mask.shape))
    if not _hides(node.outputs[0], hard, mask, _HARD):
        return False
    return _apart(node, scores, hard, np.zeros(1, np.float32))


def _apart(node: ir.Node, scores: ir.Value, hard: Array, summands: Array) -> bool:
    """The node becomes scores · {0, 1} + {summands, -32}."""
    graph, name = graph_of(node), node.name
    keep = (~hard).astype(np.float32)
    mask = np.where(hard, np.float32(MASKED), summands).astype(np.float32)
    if not _is_kept(scores, keep):
        zeros = add_constant(graph, keep, f"{name}.seen")
        shape = np.broadcast_shapes(shape_of(scores), keep.shape)
        scores = insert(node, "Mul", [scores, zeros], shape, name=f"{name}.seen")
    swap(node, "Add", [scores, add_constant(graph, mask, f"{name}.mask")])
    return True


def _is_kept(scores: ir.Value, keep: Array) -> bool:
    """Whether scores are zeros already where they are masked."""
    before = producer(scores, "Mul")
    if before is None:
        return False
    factors = [constant(value) for value in operands(before)]
    known = [factor for factor in factors if factor is not None and factor.shape == keep.shape]
    return any(not (factor * (1 - keep)).any() for factor in known)
