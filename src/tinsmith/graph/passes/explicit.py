"""Writes out what ONNX lets a node leave to its defaults, so that later stages read one form.

- Axes count from the front; Squeeze, Unsqueeze and Reduce* name theirs.
- Split names its sizes; Slice its axes and steps, with bounds inside the tensor; Pad pads every dimension.
- Reshape has the full shape of its result: no 0, no -1.
- Gather and ScatterND with constant indices have no negative ones (the runtime does not wrap them).
- Resize has scales for every dimension instead of sizes, where both mean the same, and no roi it does not use.
- Outputs nobody uses are dropped from the end of MaxPool, LayerNormalization and BatchNormalization.
- Sums of several tensors are Adds; a constant exponent is a real number (ONNX Runtime knows no unsigned ones).

Each is the same computation by the operator's own definition.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    REDUCTIONS,
    Array,
    constant,
    discard,
    each,
    get_int,
    get_ints,
    get_string,
    graph_of,
    input_of,
    insert,
    integers,
    is_constant,
    is_float,
    leave_out,
    operands,
    present,
    replace,
    set_attributes,
    set_constant,
    shape_of,
    swap,
)
from tinsmith.ops.slice import Cut

_AXIS_DEFAULTS = {
    "Concat": 0,
    "Split": 0,
    "Softmax": -1,
    "LogSoftmax": -1,
    "Gather": 0,
    "Flatten": 1,
    "LpNormalization": -1,
    "LayerNormalization": -1,
    "RMSNormalization": -1,
    "Hardmax": -1,
    "GatherElements": 0,
    "DequantizeLinear": 1,
    "QuantizeLinear": 1,
    "ArgMax": 0,
    "ArgMin": 0,
}
_SPARE_OUTPUTS = ("MaxPool", "LayerNormalization", "BatchNormalization", "Dropout")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, _AXIS_DEFAULTS, _axis)
    changed |= each(graph, REDUCTIONS, _reduction)
    changed |= each(graph, ("Squeeze", "Unsqueeze"), _squeeze)
    changed |= each(graph, ("Split",), _split)
    changed |= each(graph, ("Slice",), _slice)
    changed |= each(graph, ("Pad",), _pad)
    changed |= each(graph, ("Reshape",), _reshape)
    changed |= each(graph, ("Gather", "ScatterND"), _indices)
    changed |= each(graph, ("Resize",), _resize)
    changed |= each(graph, _SPARE_OUTPUTS, _outputs)
    changed |= each(graph, ("Pow",), _exponent)
    return changed | each(graph, ("Sum",), _sum)


def _set(node: ir.Node, index: int, values: tuple[int, ...], name: str) -> bool:
    """Input ``index`` becomes this list of integers, unless it is already."""
    old = constant(input_of(node, index))
    if old is not None and old.ndim == 1 and tuple(old.tolist()) == values:
        return False
    set_constant(node, index, np.array(values, dtype=np.int64), f"{node.name}.{name}")
    return True


def _axis(node: ir.Node) -> bool:
    rank, axis = len(shape_of(present(node, 0))), get_int(node, "axis", _AXIS_DEFAULTS[node.op_type])
    return set_attributes(node, {"axis": axis + rank if axis < 0 else axis})


def _reduction(node: ir.Node) -> bool:
    rank, given = len(shape_of(present(node, 0))), input_of(node, 1)
    axes = () if given is None else integers(given)
    if axes is None:
        return False
    if not axes and get_int(node, "noop_with_empty_axes", 0):
        # Nothing is reduced, but ReduceL1, ReduceSumSquare and their like still act on each element.
        return node.op_type in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd") and replace(
            node.outputs[0], present(node, 0)
        )
    wanted = tuple(sorted(axis % rank for axis in axes)) if axes else tuple(range(rank))
    if not rank:
        return False
    changed = _set(node, 1, wanted, "axes")
    kept = len(shape_of(node.outputs[0])) == rank
    return changed | set_attributes(node, {"keepdims": int(kept), "noop_with_empty_axes": None})


def _squeeze(node: ir.Node) -> bool:
    shape, given = shape_of(present(node, 0)), input_of(node, 1)
    rank = len(shape) if node.op_type == "Squeeze" else len(shape_of(node.outputs[0]))
    axes = tuple(axis for axis, dim in enumerate(shape) if dim == 1) if given is None else integers(given)
    return bool(axes) and _set(node, 1, tuple(sorted(axis % rank for axis in axes or ())), "axes")


def _split(node: ir.Node) -> bool:
    axis = get_int(node, "axis", 0)
    kept = [value for value in node.outputs if shape_of(value)[axis] or value.uses() or value.is_graph_output()]
    if len(kept) < len(node.outputs):
        return _without_empty(node, axis, kept)
    changed = _set(node, 1, tuple(shape_of(value)[axis] for value in node.outputs), "split")
    return changed | set_attributes(node, {"num_outputs": None})


def _without_empty(node: ir.Node, axis: int, kept: list[ir.Value]) -> bool:
    """Leaves out parts without elements that nobody uses."""
    graph = graph_of(node)
    new = ir.Node("", "Split", [node.inputs[0]], [ir.AttrInt64("axis", axis)], num_outputs=len(kept), name=node.name)
    graph.insert_before(node, new)
    for old, output in zip(kept, new.outputs, strict=True):
        output.name, output.type, output.shape = old.name, old.type, old.shape
        old.replace_all_uses_with(output, replace_graph_outputs=True)
    discard(node)
    return _split(new) or True


def _slice(node: ir.Node) -> bool:
    shape = shape_of(present(node, 0))
    starts, ends = integers(input_of(node, 1)), integers(input_of(node, 2))
    axes = tuple(range(len(starts or ()))) if input_of(node, 3) is None else integers(input_of(node, 3))
    steps = (1,) * len(starts or ()) if input_of(node, 4) is None else integers(input_of(node, 4))
    if starts is None or ends is None or axes is None or steps is None:
        return False
    axes = tuple(axis % len(shape) for axis in axes)
    bounds = [
        Cut.of(axis, (start, end, step), shape[axis])
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
    ]
    # A backward slice that reaches the first element ends before it: ONNX has no index for that but a far negative one.
    limit = -(2**31)
    named = (
        ("starts", tuple(bound.start for bound in bounds)),
        ("ends", tuple(limit if bound.stop < 0 else bound.stop for bound in bounds)),
        ("axes", axes),
        ("steps", steps),
    )
    changed = False
    for index, (name, values) in enumerate(named, start=1):
        changed |= _set(node, index, values, name)
    return changed


def _pad(node: ir.Node) -> bool:
    rank, pads, given = len(shape_of(present(node, 0))), integers(input_of(node, 1)), input_of(node, 3)
    axes = tuple(range(rank)) if given is None else integers(given)
    if pads is None or axes is None:
        return False
    full = [0] * (2 * rank)
    for position, axis in enumerate(axes):
        full[axis % rank] = pads[position]
        full[axis % rank + rank] = pads[position + len(axes)]
    changed = _set(node, 1, tuple(full), "pads")
    changed |= leave_out(node, 3)
    return changed | set_attributes(node, {"mode": get_string(node, "mode", "constant")})


def _reshape(node: ir.Node) -> bool:
    changed = _set(node, 1, shape_of(node.outputs[0]), "shape")
    return changed | set_attributes(node, {"allowzero": None})


def _indices(node: ir.Node) -> bool:
    data, indices = shape_of(present(node, 0)), constant(input_of(node, 1))
    if indices is None or not indices.size or indices.min() >= 0:
        return False
    if node.op_type == "Gather":
        size: Array = np.array(data[get_int(node, "axis", 0)])
    else:
        size = np.array(data[: indices.shape[-1]])
    set_constant(node, 1, np.where(indices < 0, indices + size, indices).astype(indices.dtype))
    return True


def _resize(node: ir.Node) -> bool:
    crops = get_string(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"
    if crops or get_string(node, "keep_aspect_ratio_policy", "stretch") != "stretch":
        return False
    source, result = shape_of(present(node, 0)), shape_of(node.outputs[0])
    changed = leave_out(node, 1, 2)
    if (input_of(node, 3) is not None and is_constant(node.inputs[3])) or "axes" in node.attributes:
        scales = _scales(node, source, result)
        if scales is None:
            return changed
        leave_out(node, 3)
        set_constant(node, 2, scales, f"{node.name}.scales")
        set_attributes(node, {"axes": None, "keep_aspect_ratio_policy": None})
        changed = True
    return changed


def _scales(node: ir.Node, source: tuple[int, ...], result: tuple[int, ...]) -> Array | None:
    """One scale per dimension, from the node's own or the sizes; None where they would not give this result."""
    scales = np.array(result, dtype=np.float32) / np.array(source, dtype=np.float32)
    given = constant(input_of(node, 2))
    if given is not None and given.size:
        axes = get_ints(node, "axes", tuple(range(len(source))))
        scales = np.ones(len(source), dtype=np.float32)
        scales[[axis % len(source) for axis in axes]] = given
    return scales.astype(np.float32) if scales_give(source, scales, result) else None


def scales_give(source: tuple[int, ...], scales: Array, result: tuple[int, ...]) -> bool:
    """Whether scales give that shape: in float32, as runtimes compute it, and in double, as shape inference does."""
    return all(
        np.floor(np.asarray(source, dtype) * scales.astype(dtype)).astype(int).tolist() == list(result)
        for dtype in (np.float32, np.float64)
    )


def _outputs(node: ir.Node) -> bool:
    count = len(node.outputs)
    while count > 1 and not node.outputs[count - 1].uses() and not node.outputs[count - 1].is_graph_output():
        count -= 1
    if count == len(node.outputs):
        return False
    node.resize_outputs(count)
    return True


def _exponent(node: ir.Node) -> bool:
    given = present(node, 1)
    exponent = constant(given)
    if exponent is None or is_float(given) or not is_float(present(node, 0)):
        return False
    set_constant(node, 1, exponent.astype(np.float32), f"{node.name}.exponent")
    return True


def _sum(node: ir.Node) -> bool:
    terms = operands(node)
    if len(terms) < 2:
        return False
    total = terms[0]
    for term in terms[1:-1]:
        shape = np.broadcast_shapes(shape_of(total), shape_of(term))
        total = insert(node, "Add", [total, term], shape, name=node.name or "Add")
    swap(node, "Add", [total, terms[-1]])
    return True
