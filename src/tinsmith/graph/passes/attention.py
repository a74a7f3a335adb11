"""Spells Attention out: softmax(scale · Q Kᵀ + mask) V.

All of the operator's forms: heads side by side (three dimensions) or apart (four), several heads of the queries to one
of the keys and values, keys and values from before, soft caps, constant masks, causal or not, and the scores as a
further result. The scale goes to the queries, whose projection takes it in. Heads of the queries that share keys are
rows of one product. Rows whose every key is masked give zeros.

Masks of truth values that are computed at run time stay, and so does a computed number of keys. Equal up to the
rounding of the scale, which ONNX applies as two square roots.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    Array,
    Attribute,
    add_constant,
    constant,
    each,
    get_float,
    get_int,
    graph_of,
    input_of,
    insert,
    is_float,
    present,
    replace,
    shape_of,
    swap,
)
from tinsmith.graph.passes.reshapes import reshaped

ENABLES = ("Attention",)

_HEADS_APART = (0, 2, 1, 3)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Attention",), _rewrite)


def _rewrite(node: ir.Node) -> bool:
    given, seqlen = input_of(node, 3), input_of(node, 6)
    computed = given is not None and constant(given) is None
    if (computed and given is not None and not is_float(given)) or (seqlen is not None and constant(seqlen) is None):
        return False
    sides = (_apart(node, 0, "q_num_heads"), _apart(node, 1, "kv_num_heads"), _apart(node, 2, "kv_num_heads"))
    query, key, value = sides[0], _with_past(node, sides[1], 4), _with_past(node, sides[2], 5)
    for index, kept in ((1, key), (2, value)):
        if _used(node, index):
            replace(node.outputs[index], insert(node, "Identity", [kept], shape_of(kept), name=f"{node.name}.kept"))
    batch, heads, rows, depth = shape_of(query)
    groups, length = shape_of(key)[1:3]
    query = _times(node, query, get_float(node, "scale", 1 / np.sqrt(depth)), "scale")
    query = reshaped(node, query, (batch, groups, heads // groups * rows, depth), "grouped")
    turned = _step(node, "Transpose", [key], (batch, groups, depth, length), {"perm": (0, 1, 3, 2)}, "keys")
    scores = _step(node, "MatMul", [query, turned], (batch, groups, heads // groups * rows, length), {}, "scores")
    scores = reshaped(node, scores, (batch, heads, rows, length), "heads")
    found = [scores]
    cap = get_float(node, "softcap", 0.0)
    if cap > 0:
        scores = _times(node, scores, 1 / cap, "cap")
        scores = _times(node, _step(node, "Tanh", [scores], shape_of(scores), {}, "cap"), cap, "cap")
    found.append(scores)
    mask = _mask(node, rows, length)
    summand = _widened(node, given, length) if computed else None
    for bias in (summand, None if mask is None else _constant(node, mask, "mask")):
        if bias is not None:
            scores = _step(node, "Add", [scores, bias], shape_of(scores), {}, "masked")
    found.append(scores)
    weights = _step(node, "Softmax", [scores], shape_of(scores), {"axis": 3}, "weights")
    if mask is not None and np.isneginf(mask).all(axis=-1).any():
        alive = np.where(np.isneginf(mask).all(axis=-1, keepdims=True), 0, 1)
        weights = _step(node, "Mul", [weights, _constant(node, alive, "alive")], shape_of(weights), {}, "alive")
    found.append(weights)
    if _used(node, 3):
        shown = found[get_int(node, "qk_matmul_output_mode", 0)]
        replace(node.outputs[3], insert(node, "Identity", [shown], shape_of(shown), name=f"{node.name}.shown"))
    weights = reshaped(node, weights, (batch, groups, heads // groups * rows, length), "weights")
    _finish(node, weights, value, heads, rows)
    return True


def _finish(node: ir.Node, weights: ir.Value, value: ir.Value, heads: int, rows: int) -> None:
    """The weighted values, in the place of the node."""
    batch, groups, together, _ = shape_of(weights)
    depth = shape_of(value)[-1]
    result = _step(node, "MatMul", [weights, value], (batch, groups, together, depth), {}, "weighted")
    result = reshaped(node, result, (batch, heads, rows, depth), "apart")
    if len(shape_of(node.outputs[0])) == 3:
        result = _step(node, "Transpose", [result], (batch, rows, heads, depth), {"perm": _HEADS_APART}, "together")
        result = reshaped(node, result, (batch, rows, heads * depth), "flat")
    swap(node, "Identity", [result])


def _used(node: ir.Node, index: int) -> bool:
    return index < len(node.outputs) and bool(node.outputs[index].uses() or node.outputs[index].is_graph_output())


def _step(
    node: ir.Node,
    op_type: str,
    inputs: list[ir.Value],
    shape: tuple[int, ...],
    attributes: dict[str, Attribute],
    name: str,
) -> ir.Value:
    return insert(node, op_type, inputs, shape, attributes, name=f"{node.name}.{name}")


def _constant(node: ir.Node, array: Array, name: str) -> ir.Value:
    return add_constant(graph_of(node), array.astype(np.float32), f"{node.name}.{name}")


def _times(node: ir.Node, value: ir.Value, factor: float, name: str) -> ir.Value:
    if factor == 1:
        return value
    return _step(node, "Mul", [value, _constant(node, np.array(factor), name)], shape_of(value), {}, name)


def _apart(node: ir.Node, index: int, heads: str) -> ir.Value:
    """An operand with its heads as a dimension of their own."""
    value = present(node, index)
    shape = shape_of(value)
    if len(shape) == 4:
        return value
    batch, rows, width = shape
    count = get_int(node, heads, 1)
    split = reshaped(node, value, (batch, rows, count, width // count), "split")
    return _step(node, "Transpose", [split], (batch, count, rows, width // count), {"perm": _HEADS_APART}, "apart")


def _with_past(node: ir.Node, value: ir.Value, index: int) -> ir.Value:
    past = input_of(node, index)
    if past is None:
        return value
    batch, heads, rows, depth = shape_of(value)
    shape = (batch, heads, rows + shape_of(past)[2], depth)
    return _step(node, "Concat", [past, value], shape, {"axis": 2}, "with_past")


def _widened(node: ir.Node, given: ir.Value | None, length: int) -> ir.Value | None:
    """A computed mask with zeros for the keys beyond it, which `_mask` hides."""
    if given is None or shape_of(given)[-1] == length:
        return given
    shape = shape_of(given)
    pads = np.zeros(2 * len(shape), np.int64)
    pads[-1] = length - shape[-1]
    inputs = [given, add_constant(graph_of(node), pads, f"{node.name}.pads")]
    return _step(node, "Pad", inputs, (*shape[:-1], length), {}, "widened")


def _mask(node: ir.Node, rows: int, length: int) -> Array | None:
    """What is known beforehand of the summands of the scores; None where it is nothing."""
    array, seqlen, past = constant(input_of(node, 3)), constant(input_of(node, 6)), input_of(node, 4)
    mask = np.zeros((rows, length), np.float32)
    if array is not None:
        given = np.where(array, 0, -np.inf) if array.dtype == np.bool_ else array
        missing = length - given.shape[-1]
        padded = np.pad(given, [(0, 0)] * (given.ndim - 1) + [(0, missing)], constant_values=-np.inf)
        mask = mask + padded.astype(np.float32)
    elif input_of(node, 3) is not None and shape_of(present(node, 3))[-1] < length:
        mask = mask + np.where(np.arange(length) >= shape_of(present(node, 3))[-1], -np.inf, 0).astype(np.float32)
    if get_int(node, "is_causal", 0):
        before = np.zeros(1) if past is None else np.full(1, shape_of(past)[2])
        if past is None and seqlen is not None:
            before = seqlen.reshape(-1) - rows
        later = np.arange(length) > np.arange(rows)[:, None] + before.reshape(-1, 1, 1, 1)
        mask = mask + np.where(later, -np.inf, 0).astype(np.float32)
    if seqlen is not None:
        absent = np.arange(length) >= seqlen.reshape(-1, 1, 1, 1)
        mask = mask + np.where(absent, -np.inf, 0).astype(np.float32)
    return mask if np.any(mask) else None
