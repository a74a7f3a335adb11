"""Splits a layer whose output channels are taken apart: queries, keys and values computed by one projection.

Matched: a Gemm, or a Conv with windows of one element, then Reshapes and Transposes, then nothing but Splits, Slices
and Gathers by constants that select channels, each channel at most once. Every part becomes a layer of its own with its
share of the weights and the bias, and its own Reshapes and Transposes, which now have a dimension less to move. The
chip copies nothing, and every part has an exponent of its own. A Conv is split only where its output is moved, since a
Split of its channels alone costs less than reading its input twice. Exact: each channel is computed as before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from tinsmith.graph import linear
from tinsmith.graph.edit import (
    Array,
    add_constant,
    constant,
    each,
    get_int,
    get_ints,
    graph_of,
    input_of,
    insert,
    integers,
    only_user,
    present,
    replace,
    shape_of,
)
from tinsmith.graph.passes.fold_affine_through import MOVERS
from tinsmith.graph.passes.reshapes import reshaped
from tinsmith.graph.passes.transposes import perm_of
from tinsmith.ops.reshape import groups

_SELECT = ("Split", "Slice", "Gather")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Gemm", "Conv"), _split)


def _split(node: ir.Node) -> bool:
    if not linear.is_linear(node) or (node.op_type == "Conv" and not _pointwise(node)):
        return False
    chain, value = _chain(node)
    axis = linear.channel_axis(node)
    labels = np.arange(shape_of(node.outputs[0])[axis])
    stages: list[Array] = [labels.reshape([-1 if place == axis else 1 for place in range(_rank(node))])]
    for mover in chain:
        moved = _moved(mover, stages[-1])
        if moved is None:
            return False
        stages.append(moved)
    if value.is_graph_output() or not value.uses() or (node.op_type == "Conv" and not chain):
        return False
    parts = _parts(value, stages[-1])
    if parts is None:
        return False
    taken = np.concatenate([chosen.reshape(-1) for _, chosen in parts])
    if len(parts) < 2 or len(set(taken.tolist())) != len(taken):
        return False
    if not all(_is_box(labels, chosen) for labels in stages for _, chosen in parts):
        return False
    for part, chosen in parts:
        _replace(node, chain, stages, part, np.sort(chosen.reshape(-1)))
    return True


def _rank(node: ir.Node) -> int:
    return len(shape_of(node.outputs[0]))


def _pointwise(node: ir.Node) -> bool:
    window = shape_of(present(node, 1))[2:]
    return set(window) == {1} and get_int(node, "group", 1) == 1 and not any(get_ints(node, "pads", ()))


def _chain(node: ir.Node) -> tuple[list[ir.Node], ir.Value]:
    """The movers behind a layer that each alone read what is before them, and what the last gives."""
    chain, value = [], node.outputs[0]
    while (user := only_user(value)) is not None and user.op_type in MOVERS:
        chain.append(user)
        value = user.outputs[0]
    return chain, value


def _moved(mover: ir.Node, labels: Array) -> Array | None:
    """The numbers of the channels, which broadcast to a mover's input, as they broadcast to its output."""
    if mover.op_type == "Transpose":
        return labels.transpose(perm_of(mover))
    old, new = shape_of(present(mover, 0)), shape_of(mover.outputs[0])
    shape: list[int] = []
    for group in groups(old, new):
        sizes = [labels.shape[axis] for axis in group.before]
        if max(sizes, default=1) == 1:
            shape += [1] * len(group.after)
        elif sizes == [old[axis] for axis in group.before]:
            shape += [new[axis] for axis in group.after]
        else:
            return None
    return labels.reshape(shape)


def _parts(value: ir.Value, labels: Array) -> list[tuple[ir.Value, Array]] | None:
    """What the users of a value select: each result with its channels; None where one does something else."""
    found: list[tuple[ir.Value, Array]] = []
    for user, index in value.uses():
        if user.op_type not in _SELECT or index != 0:
            return None
        axis, chosen = _selection(user)
        if axis is None or labels.shape[axis] == 1:
            return None
        for output, places in zip(user.outputs, chosen, strict=True):
            if list(places) != sorted(set(places)):
                return None
            if output.uses() or output.is_graph_output():
                found.append((output, labels.take(places, axis=axis)))
    return found


def _selection(user: ir.Node) -> tuple[int | None, Sequence[Sequence[int]]]:
    """The axis along which a node selects, and for each of its results what."""
    shape = shape_of(present(user, 0))
    if user.op_type == "Slice":
        starts, ends, axes, steps = (integers(input_of(user, index)) for index in range(1, 5))
        if not (starts and ends and axes and steps) or len(axes) != 1:
            return None, ()
        return axes[0], (range(shape[axes[0]])[starts[0] : ends[0] : steps[0]],)
    axis = get_int(user, "axis", 0) % len(shape)
    if user.op_type == "Gather":
        places = constant(input_of(user, 1))
        return (None, ()) if places is None or places.ndim > 1 else (axis, (places.reshape(-1).tolist(),))
    ends = tuple(int(end) for end in np.cumsum([shape_of(output)[axis] for output in user.outputs]))
    return axis, [range(start, end) for start, end in zip((0, *ends), ends, strict=False)]


def _replace(node: ir.Node, chain: Sequence[ir.Node], stages: Sequence[Array], part: ir.Value, chosen: Array) -> None:
    """A layer for some channels, moved as the whole was, in the place of a part."""
    before = part.producer()
    assert before is not None
    value = _layer(node, before, chosen)
    for mover, labels in zip(chain, stages[1:], strict=True):
        counts = _counts(labels, chosen)
        whole = shape_of(mover.outputs[0])
        kept = [size if labels.shape[axis] == 1 else counts[axis] for axis, size in enumerate(whole)]
        if mover.op_type == "Transpose":
            value = insert(before, "Transpose", [value], kept, {"perm": perm_of(mover)}, name=f"{part.name}.moved")
        else:
            value = reshaped(before, value, tuple(kept), "part")
    value = reshaped(before, value, shape_of(part), "part")
    replace(part, value, keep_name=True)


def _counts(labels: Array, chosen: Array) -> list[int]:
    """Along how many places of each axis some channels are."""
    inside = np.isin(labels, chosen)
    return [int(np.any(inside, axis=_but(axis, labels.ndim)).sum()) for axis in range(labels.ndim)]


def _is_box(labels: Array, chosen: Array) -> bool:
    """Whether channels are all that is along some places of every axis."""
    return int(np.prod(_counts(labels, chosen))) == chosen.size


def _but(axis: int, rank: int) -> tuple[int, ...]:
    return tuple(other for other in range(rank) if other != axis)


def _layer(node: ir.Node, before: ir.Node, chosen: Array) -> ir.Value:
    graph, weights, bias = graph_of(node), constant(present(node, 1)), constant(input_of(node, 2))
    assert weights is not None
    out = 0 if node.op_type == "Conv" else 1
    taken = np.ascontiguousarray(weights.take(chosen, axis=out))
    inputs = [present(node, 0), add_constant(graph, taken, f"{present(node, 1).name}.part")]
    if bias is not None:
        inputs.append(add_constant(graph, bias[chosen], f"{present(node, 2).name}.part"))
    shape = list(shape_of(node.outputs[0]))
    shape[1] = len(chosen)
    result = insert(before, node.op_type, inputs, shape, name=f"{node.name}.part")
    made = result.producer()
    assert made is not None
    for attribute in node.attributes.values():
        made.attributes.add(attribute)
    return result
