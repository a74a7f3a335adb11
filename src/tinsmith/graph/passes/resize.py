"""Resize as the runtime has it, and everything else it can mean.

A Resize is a matrix along each dimension (`tinsmith.graph.resampling`). Where these are what the runtime computes
anyway, nearest or linear over one or two spatial dimensions, the node says so: asymmetric and floor, half_pixel or
align_corners. Otherwise one dimension after the other, those that shrink most first:

- elements picked at regular steps are a Slice, others a Gather; this is exact;
- interpolation by a small whole factor is one depthwise Conv for each position between two elements, behind a Pad that
  repeats the edge; their results alternate by way of Concat and Reshape;
- everything else is a MatMul with the matrix.

Equal up to rounding. Nodes with sizes, factors or regions that are computed at run time stay and are refused.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinsmith.graph.edit import (
    Array,
    Attribute,
    add_constant,
    constant,
    each,
    get_ints,
    get_string,
    graph_of,
    input_of,
    insert,
    leave_out,
    name_after,
    present,
    replace,
    set_attributes,
    set_constant,
    shape_of,
    swap,
)
from tinsmith.graph.passes.explicit import scales_give
from tinsmith.graph.passes.reshapes import reshaped
from tinsmith.graph.resampling import CROP, Matrix, Sampling, changes, extrapolated, matrix, picked, samplings
from tinsmith.ops.resampling import Phases, phases
from tinsmith.ops.resize_positions import Stretch

ENABLES = ("Upsample",)
_Maps = dict[int, tuple[Sampling, Matrix]]
_SAME = 1e-4
_PLAIN = ("antialias", "exclude_outside", "axes", "keep_aspect_ratio_policy", "extrapolation_value")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Resize",), _rewrite)


def _rewrite(node: ir.Node) -> bool:
    found = samplings(node)
    if found is None:
        return False
    maps: _Maps = {}
    for one in found if _does_something(node) else ():
        weights = matrix(node, one)
        if weights is None:
            return False
        if changes(weights):
            maps[one.axis] = (one, weights)
    border = extrapolated(node, found)
    wanted = _as_the_runtime(node, maps) if border is None else None
    if wanted is not None:
        return _restate(node, wanted, maps)
    if _counts_channels_last(node, maps):
        return _channels_first(node)
    value = present(node, 0)
    for axis in sorted(maps, key=lambda axis: maps[axis][0].result / maps[axis][0].length):
        value = _along(node, value, axis, maps[axis][1])
    if border is not None:
        added = add_constant(graph_of(node), border, f"{node.name}.outside")
        value = insert(node, "Add", [value, added], shape_of(value), name=f"{node.name}.bordered")
    if value is present(node, 0) or not replace(node.outputs[0], value, keep_name=True):
        swap(node, "Identity", [value])
    return True


def _does_something(node: ir.Node) -> bool:
    """Whether there is anything to compute: ONNX Runtime copies what keeps its shape, whatever the scales."""
    crops = get_string(node, "coordinate_transformation_mode", "half_pixel") == CROP
    return crops or shape_of(present(node, 0)) != shape_of(node.outputs[0])


def _as_the_runtime(node: ir.Node, maps: _Maps) -> dict[str, str] | None:
    """The attributes of a Resize that the runtime computes as this node means it."""
    shape = shape_of(present(node, 0))
    if len(shape) not in (3, 4) or not maps or min(maps) < 2:
        return None
    stretches = [_stretch(node, one) for one, _ in maps.values()]
    wanted = [weights for _, weights in maps.values()]
    if all(_same(_picks(s), w) for s, w in zip(stretches, wanted, strict=True)):
        return {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if min(shape[2:]) < 2:
        return None
    for aligned, mode in ((False, "half_pixel"), (True, "align_corners")):
        if all(_same(_blends(s, aligned), w) for s, w in zip(stretches, wanted, strict=True)):
            return {"mode": "linear", "coordinate_transformation_mode": mode}
    return None


def _counts_channels_last(node: ir.Node, maps: _Maps) -> bool:
    """Whether it resizes what would be height and width if channels were the last dimension, and says so plainly."""
    rank = len(shape_of(present(node, 0)))
    if rank not in (3, 4) or 1 not in maps or max(maps) == rank - 1 or input_of(node, 1) is not None:
        return False
    plain = not any(name in node.attributes for name in ("axes", "keep_aspect_ratio_policy"))
    return plain and min(maps) == 1 and not all(_is_regular(picked(weights)) for _, weights in maps.values())


def _is_regular(index: NDArray[np.int64] | None) -> bool:
    """Whether elements are picked at regular steps."""
    steps = set() if index is None else {int(b - a) for a, b in pairwise(index)}
    return index is not None and len(steps) <= 1 and min(steps, default=1) > 0


def _channels_first(node: ir.Node) -> bool:
    """The same Resize between two Transposes, which the file's order of dimensions mostly makes superfluous."""
    source, result = present(node, 0), shape_of(node.outputs[0])
    rank = len(result)
    first, last = (0, rank - 1, *range(1, rank - 1)), (0, *range(2, rank), 1)
    turned = insert(
        node,
        "Transpose",
        [source],
        [shape_of(source)[axis] for axis in first],
        {"perm": first},
        name=f"{node.name}.turned",
    )
    inputs: list[ir.Value | None] = [turned]
    for index in (1, 2, 3):
        numbers = constant(input_of(node, index))
        row = numbers[list(first)] if numbers is not None and numbers.size == rank else None
        inputs.append(None if row is None else add_constant(graph_of(node), row, f"{node.name}.factors"))
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    shape = [result[axis] for axis in first]
    resized = insert(node, "Resize", inputs, shape, attributes, name=f"{node.name}.resized")
    name_after(swap(node, "Transpose", [resized], {"perm": last}), resized, "back")
    return True


def _stretch(node: ir.Node, one: Sampling) -> Stretch:
    """The dimension with the factor it will have in the file (`_restate`)."""
    exact = _given_scales(node) is not None
    scale = one.scale if exact else np.float32(one.result) / np.float32(one.length)
    return Stretch(one.length, one.result, np.float32(scale))


def _same(mine: Matrix, wanted: Matrix) -> bool:
    return bool(np.abs(mine - wanted).max() <= _SAME)


def _picks(stretch: Stretch) -> Matrix:
    found = np.zeros((stretch.result, stretch.length))
    found[np.arange(stretch.result), stretch.nearest()] = 1
    return found


def _blends(stretch: Stretch, aligned: bool) -> Matrix:
    found = np.zeros((stretch.result, stretch.length))
    left, weight = stretch.linear(aligned)
    rows = np.arange(stretch.result)
    np.add.at(found, (rows, left), 1 - weight.astype(np.float64))
    np.add.at(found, (rows, np.minimum(left + 1, stretch.length - 1)), weight)
    return found


def _given_scales(node: ir.Node) -> Array | None:
    """The node's scales, one for each dimension, where they alone give its shape."""
    shape, scales = shape_of(present(node, 0)), constant(input_of(node, 2))
    if scales is None or not scales.size:
        return None
    full = np.ones(len(shape), np.float32)
    full[list(get_ints(node, "axes", tuple(range(len(shape)))))] = scales
    return full if scales_give(shape, full, shape_of(node.outputs[0])) else None


def _restate(node: ir.Node, wanted: dict[str, str], maps: _Maps) -> bool:
    """Gives a node these attributes, and scales for every dimension or else sizes."""
    scales, given = _given_scales(node), constant(input_of(node, 2))
    if scales is not None:
        scales = np.asarray([factor if axis in maps else 1 for axis, factor in enumerate(scales)], np.float32)
    plain = input_of(node, 1) is None and not any(name in node.attributes for name in _PLAIN)
    mode = get_string(node, "mode", "nearest"), get_string(node, "coordinate_transformation_mode", "half_pixel")
    said = plain and mode == (wanted["mode"], wanted["coordinate_transformation_mode"])
    rounds = wanted["mode"] == "linear" or get_string(node, "nearest_mode", "") == wanted["nearest_mode"]
    if said and rounds and (scales is None or given is None or np.array_equal(given, scales)):
        return False
    sizes = np.asarray(shape_of(node.outputs[0]), np.int64)
    leave_out(node, 1)
    if scales is not None:
        node.resize_inputs(3)
        set_constant(node, 2, scales, f"{node.name}.scales")
    else:
        node.resize_inputs(4)
        set_constant(node, 3, sizes, f"{node.name}.sizes")
    set_attributes(node, {**dict.fromkeys(_PLAIN), "nearest_mode": None, "cubic_coeff_a": None, **wanted})
    return True


def _along(node: ir.Node, value: ir.Value, axis: int, weights: Matrix) -> ir.Value:
    """One dimension resampled, in nodes in front of ``node``."""
    index = picked(weights)
    if index is not None:
        return _pick(node, value, axis, index)
    found = phases(weights) if len(shape_of(value)) == 4 and axis >= 2 else None
    return _multiply(node, value, axis, weights) if found is None else _alternate(node, value, axis, found)


def _pick(node: ir.Node, value: ir.Value, axis: int, index: NDArray[np.int64]) -> ir.Value:
    shape = list(shape_of(value))
    shape[axis] = index.size
    if _is_regular(index):
        step = int(index[1] - index[0]) if index.size > 1 else 1
        given = [_integers(node, [n], "bounds") for n in (int(index[0]), int(index[-1]) + 1, axis, step)]
        return insert(node, "Slice", [value, *given], shape, name=f"{node.name}.picked")
    where = _integers(node, index.tolist(), "indices")
    return insert(node, "Gather", [value, where], shape, {"axis": axis}, name=f"{node.name}.picked")


def _multiply(node: ir.Node, value: ir.Value, axis: int, weights: Matrix) -> ir.Value:
    """The matrix as right side of a MatMul; the dimension comes last for it."""
    shape = shape_of(value)
    outer, inner = int(np.prod(shape[:axis], dtype=np.int64)), int(np.prod(shape[axis + 1 :], dtype=np.int64))
    right = add_constant(graph_of(node), weights.T.astype(np.float32), f"{node.name}.weights")
    result = (*shape[:axis], len(weights), *shape[axis + 1 :])
    if inner == 1 and len(shape) <= 4 and axis == len(shape) - 1:
        return insert(node, "MatMul", [value, right], result, name=f"{node.name}.resampled")
    if len(shape) > 4:
        value = reshaped(node, value, (outer, shape[axis], inner), "reshaped")
        axis = 1
    rank = len(shape_of(value))
    perm = list(range(rank))
    perm[axis], perm[-1] = perm[-1], perm[axis]
    turned = [shape_of(value)[at] for at in perm]
    value = insert(node, "Transpose", [value], turned, {"perm": perm}, name=f"{node.name}.turned")
    turned[-1] = len(weights)
    value = insert(node, "MatMul", [value, right], turned, name=f"{node.name}.resampled")
    back = [turned[at] for at in perm]
    value = insert(node, "Transpose", [value], back, {"perm": perm}, name=f"{node.name}.back")
    return value if len(shape) <= 4 else reshaped(node, value, result, "reshaped")


def _alternate(node: ir.Node, value: ir.Value, axis: int, found: Phases) -> ir.Value:
    """Depthwise convolutions over an input whose edge is repeated; their results take turns along the dimension."""
    batch, channels, *spatial = shape_of(value)
    result = [batch, channels, *spatial]
    result[axis] *= found.count
    if found.before or found.after:
        amounts = [0] * 8
        amounts[axis], amounts[axis + 4] = found.before, found.after
        wide = list(shape_of(value))
        wide[axis] += found.before + found.after
        value = insert(
            node, "Pad", [value, _integers(node, amounts, "edge")], wide, {"mode": "edge"}, name=f"{node.name}.edge"
        )
    parts = [_phase(node, value, axis, kernel, (batch, channels, *spatial)) for kernel in found.kernels]
    # Side by side in the dimension that the file has behind this one, each phase comes next to the other's element.
    behind = 3 if axis == 2 else 1
    joined = [batch, channels, *spatial]
    joined[behind] *= found.count
    value = insert(node, "Concat", parts, joined, {"axis": behind}, name=f"{node.name}.phases")
    last = [joined[0], joined[2], joined[3], joined[1]]
    value = insert(node, "Transpose", [value], last, {"perm": (0, 2, 3, 1)}, name=f"{node.name}.phases")
    value = reshaped(node, value, (batch, result[2], result[3], channels), "reshaped")
    return insert(node, "Transpose", [value], result, {"perm": (0, 3, 1, 2)}, name=f"{node.name}.resampled")


def _phase(node: ir.Node, value: ir.Value, axis: int, kernel: Matrix, shape: tuple[int, ...]) -> ir.Value:
    window = (len(kernel), 1) if axis == 2 else (1, len(kernel))
    weights = np.tile(kernel.astype(np.float32).reshape(1, 1, *window), (shape[1], 1, 1, 1))
    attributes: dict[str, Attribute] = {"kernel_shape": window, "pads": (0,) * 4, "group": shape[1]}
    operands = [value, add_constant(graph_of(node), weights, f"{node.name}.kernel")]
    return insert(node, "Conv", operands, shape, attributes, name=f"{node.name}.phase")


def _integers(node: ir.Node, numbers: list[int] | tuple[int, ...], suffix: str) -> ir.Value:
    return add_constant(graph_of(node), np.asarray(numbers, np.int64), f"{node.name}.{suffix}")
