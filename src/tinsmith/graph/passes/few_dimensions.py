"""Takes nodes of more than four dimensions down to four, where the same elements can be seen in fewer.

Dimensions of one element are dropped, and neighbours that a node treats alike are merged: those that a Transpose moves
together, those that Concat, Split and Slice do not name. A Reshape in front and one behind show the elements so; both
cost nothing, and `reshapes` merges them with others. What still has more than four dimensions stays, and so do
element-wise operators, whose kernels merge dimensions themselves, and Softmax, which counts elements. Exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import onnx_ir as ir

from tinsmith.graph import provenance
from tinsmith.graph.edit import (
    Attribute,
    add_constant,
    discard,
    each,
    fresh,
    get_int,
    get_ints,
    graph_of,
    input_of,
    insert,
    integers,
    name_after,
    present,
    replace,
    shape_of,
)
from tinsmith.graph.passes.reshapes import reshape, reshaped

MOST = 4
Shape = tuple[int, ...]
Runs = list[list[int]]
"""Dimensions in order, those in one list merged."""

_AXIS = ("Concat", "Split")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("Transpose",), _transpose)
    changed |= each(graph, _AXIS, _axis)
    return changed | each(graph, ("Slice",), _slice)


def _short(runs: Runs) -> bool:
    return len(runs) <= MOST


def merged(shape: Shape, runs: Runs) -> Shape:
    """The shape with each run as one dimension."""
    return tuple(prod(shape[axis] for axis in run) for run in runs)


def _transpose(node: ir.Node) -> bool:
    source = present(node, 0)
    shape = shape_of(source)
    if len(shape) <= MOST:
        return False
    perm = [axis for axis in get_ints(node, "perm", tuple(reversed(range(len(shape))))) if shape[axis] != 1]
    long = [axis for axis in range(len(shape)) if shape[axis] != 1]
    after: Runs = []
    for axis in perm:
        follows = bool(after) and long.index(axis) == long.index(after[-1][-1]) + 1
        after[-1].append(axis) if follows else after.append([axis])
    before = sorted(after)
    if not _short(before):
        return False
    moved = tuple(before.index(run) for run in after)
    _rebuild(node, [reshaped(node, source, merged(shape, before), "merged")], merged(shape, after), {"perm": moved})
    return True


def _around(shape: Shape, axes: Sequence[int]) -> Runs:
    """The named axes alone, what is between them merged; dimensions of one element are dropped."""
    runs: Runs = []
    alone = True
    for axis, size in enumerate(shape):
        if axis in axes or (size != 1 and (alone or not runs)):
            runs.append([axis])
        elif size != 1:
            runs[-1].append(axis)
        else:
            continue
        alone = axis in axes
    return runs


def _axis(node: ir.Node) -> bool:
    shape = shape_of(present(node, 0))
    axis = get_int(node, "axis", -1) % len(shape)
    runs = _around(shape, [axis])
    if len(shape) <= MOST or not _short(runs) or any(len(shape_of(value)) != len(shape) for value in node.outputs):
        return False
    flat: list[ir.Value | None] = []
    for index, value in enumerate(node.inputs):
        laid_out = value is not None and (index == 0 or node.op_type == "Concat")
        flat.append(
            reshaped(node, value, merged(shape_of(value), runs), f"operand{index}") if laid_out and value else value
        )
    attributes = {"axis": next(place for place, run in enumerate(runs) if run == [axis])}
    if len(node.outputs) == 1:
        _rebuild(node, flat, merged(shape_of(node.outputs[0]), runs), attributes)
    else:
        _rebuild_parts(node, flat, runs, attributes)
    return True


def _slice(node: ir.Node) -> bool:
    shape, axes = shape_of(present(node, 0)), integers(input_of(node, 3))
    if len(shape) <= MOST or axes is None:
        return False
    runs = _around(shape, axes)
    if not _short(runs):
        return False
    places = np.array([next(place for place, run in enumerate(runs) if run == [axis]) for axis in axes], np.int64)
    named = add_constant(graph_of(node), places, f"{node.name}.axes")
    source = reshaped(node, present(node, 0), merged(shape, runs), "merged")
    inputs = [source, *node.inputs[1:3], named, *node.inputs[4:]]
    _rebuild(node, inputs, merged(shape_of(node.outputs[0]), runs), {})
    return True


def _rebuild(
    node: ir.Node, inputs: Sequence[ir.Value | None], shape: Shape, attributes: Mapping[str, Attribute]
) -> None:
    """The same operator on other inputs, and a Reshape to what it gave before."""
    value = insert(
        node, node.op_type, inputs, shape, attributes, name=f"{node.name}.merged", dtype=node.outputs[0].dtype
    )
    made = value.producer()
    assert made is not None
    for key, attribute in node.attributes.items():
        if key not in attributes:
            made.attributes.add(attribute)
    name_after(reshape(node, value), value, "restored")


def _rebuild_parts(
    node: ir.Node, inputs: Sequence[ir.Value | None], runs: Runs, attributes: Mapping[str, Attribute]
) -> None:
    """As `_rebuild`, for a node with several outputs."""
    graph, olds = graph_of(node), tuple(node.outputs)
    axis = attributes["axis"]
    assert isinstance(axis, int)
    made = ir.Node("", node.op_type, inputs, [ir.AttrInt64("axis", axis)], num_outputs=len(olds))
    made.name = fresh(graph, f"{node.name}.merged")
    graph.insert_before(node, made)
    provenance.inserted(graph, made)
    for old, new in zip(olds, made.outputs, strict=True):
        new.name, new.type = fresh(graph, f"{old.name}.merged"), old.type
        new.shape = ir.Shape(merged(shape_of(old), runs))
        if not old.uses() and not old.is_graph_output():
            continue
        dims = add_constant(graph, np.array(shape_of(old), dtype=np.int64), f"{old.name}.shape")
        restored = insert(node, "Reshape", [new, dims], shape_of(old), name=f"{old.name}.restored", dtype=old.dtype)
        replace(old, restored, keep_name=True)
    discard(node)
