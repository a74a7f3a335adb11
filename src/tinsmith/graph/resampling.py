"""What a Resize computes along one dimension, as ONNX Runtime does: a matrix (elements out, elements in)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinsmith.graph.edit import (
    Array,
    constant,
    get_float,
    get_int,
    get_ints,
    get_string,
    input_of,
    present,
    shape_of,
)
from tinsmith.ops.floatmath import Float32
from tinsmith.ops.resize_positions import MODES, nearest, positions

Matrix = NDArray[np.float64]
CROP = "tf_crop_and_resize"


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """How one dimension is resampled.

    Attributes:
        axis: Which one.
        length: Elements in.
        result: Elements out.
        scale: Factor, as ONNX Runtime has it.
        region: First and last position read, as parts of the length (`tf_crop_and_resize` only).
    """

    axis: int
    length: int
    result: int
    scale: np.float32
    region: tuple[float, float] = (0.0, 1.0)


def samplings(node: ir.Node) -> tuple[Sampling, ...] | None:
    """Each dimension of a Resize; None where its factors are computed at run time."""
    shape, result = shape_of(present(node, 0)), shape_of(node.outputs[0])
    factors = _factors(node, shape, result)
    if factors is None:
        return None
    regions = _regions(node, len(shape))
    if regions is None:
        return None
    rows = zip(shape, result, factors, regions, strict=True)
    return tuple(Sampling(axis, n, out, scale, region) for axis, (n, out, scale, region) in enumerate(rows))


def _factors(node: ir.Node, shape: tuple[int, ...], result: tuple[int, ...]) -> Float32 | None:
    """The factor of every dimension."""
    rank = len(shape)
    axes = [axis % rank for axis in get_ints(node, "axes", tuple(range(rank)))]
    factors = np.ones(rank, np.float32)
    scales, sizes = constant(input_of(node, 2)), constant(input_of(node, 3))
    if scales is not None and scales.size:
        factors[axes] = scales
        return factors
    if sizes is None or not sizes.size:
        return None
    policy = get_string(node, "keep_aspect_ratio_policy", "stretch")
    ratios = np.asarray(sizes, np.float32) / np.asarray([shape[axis] for axis in axes], np.float32)
    if policy == "stretch":
        factors[:] = np.asarray(result, np.float32) / np.asarray(shape, np.float32)
    else:
        factors[axes] = ratios.min() if policy == "not_larger" else ratios.max()
    return factors


def _regions(node: ir.Node, rank: int) -> list[tuple[float, float]] | None:
    """The part of each dimension that is read; None where it is computed at run time."""
    regions = [(0.0, 1.0)] * rank
    if _coordinates(node) != CROP:
        return regions
    given = constant(input_of(node, 1))
    axes = [axis % rank for axis in get_ints(node, "axes", tuple(range(rank)))]
    if given is None or given.size != 2 * len(axes):
        return None
    for place, axis in enumerate(axes):
        regions[axis] = (float(given[place]), float(given[place + len(axes)]))
    return regions


def _coordinates(node: ir.Node) -> str:
    return get_string(node, "coordinate_transformation_mode", "half_pixel")


def _where(node: ir.Node, one: Sampling) -> Float32 | None:
    """The position in the input of each output element."""
    mode = _coordinates(node)
    if mode != CROP:
        if mode not in MODES:
            return None
        if one.scale == 1:
            return np.arange(one.result, dtype=np.float32)
        return positions(mode, one.length, one.result, one.scale)
    start, end = (np.float32(part) for part in one.region)
    last = np.float32(one.length - 1)
    if one.result == 1:
        return np.asarray([np.float32(0.5) * (start + end) * last], np.float32)
    step = (end - start) * last / np.float32(one.result - 1)
    return np.asarray(start * last + np.arange(one.result, dtype=np.float32) * step, np.float32)


def matrix(node: ir.Node, one: Sampling) -> Matrix | None:
    """The weights of the input's elements for each output element; None where the node's modes are unknown.

    Rows of zeros lie outside the input: see `extrapolated`.
    """
    mode, where = get_string(node, "mode", "nearest"), _where(node, one)
    if where is None or mode not in ("nearest", "linear", "cubic"):
        return None
    if mode == "nearest":
        found = np.zeros((one.result, one.length))
        picked = nearest(where, get_string(node, "nearest_mode", "round_prefer_floor"), one.length)
        found[np.arange(one.result), picked] = 1
    else:
        found = _weighted(node, one, where, mode)
    found[_outside(node, one, where)] = 0
    return found


def _outside(node: ir.Node, one: Sampling, where: Float32) -> NDArray[np.bool_]:
    """Which output elements read positions beyond the input, in the mode that does not repeat the edge for them."""
    beyond = (where < 0) | (where > one.length - 1)
    return np.asarray(beyond & (_coordinates(node) == CROP))


def extrapolated(node: ir.Node, found: Sequence[Sampling]) -> Array | None:
    """What has to be added to the output: `extrapolation_value` where a dimension reads outside; None for nothing."""
    value = get_float(node, "extrapolation_value", 0.0)
    inside = np.ones((), np.float32)
    for one in found:
        where = _where(node, one)
        row = np.ones(one.result, bool) if where is None else ~_outside(node, one, where)
        inside = inside[..., None] * (row if not row.all() else row[:1])
    return None if value == 0 or inside.all() else np.asarray(value * (1 - inside), np.float32)


def _weighted(node: ir.Node, one: Sampling, where: Float32, mode: str) -> Matrix:
    """Linear or cubic; with `antialias`, filters as wide as what a smaller output has to cover."""
    antialias = get_int(node, "antialias", 0)
    if antialias and one.result == one.length:
        # ONNX Runtime filters only what changes its size.
        return np.eye(one.length)
    shrink = min(float(one.scale), 1.0) if antialias else 1.0
    support = (1 if mode == "linear" else 2) / shrink
    excluded = get_int(node, "exclude_outside", 0)
    a, found = get_float(node, "cubic_coeff_a", -0.75), np.zeros((one.result, one.length))
    for row, position in zip(found, where.astype(np.float64), strict=True):
        taps = np.arange(np.floor(position - support + 1), np.floor(position + support + 1)).astype(int)
        weights = _filter(mode, (taps - position) * shrink, a)
        if excluded:
            inside = (taps >= 0) & (taps < one.length)
            taps, weights = taps[inside], weights[inside]
        np.add.at(row, taps.clip(0, one.length - 1), weights / weights.sum())
    return found


def _filter(mode: str, distance: Array, a: float) -> Array:
    t = np.abs(distance)
    if mode == "linear":
        return np.asarray(np.maximum(0, 1 - t))
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


def picked(weights: Matrix) -> NDArray[np.int64] | None:
    """The elements picked, where each output element is one of the input's; else None."""
    index = weights.argmax(axis=1)
    one_hot = np.zeros_like(weights)
    one_hot[np.arange(len(weights)), index] = 1
    return index.astype(np.int64) if np.abs(weights - one_hot).max() <= 1e-6 else None


def changes(weights: Matrix) -> bool:
    """Whether it does anything."""
    return weights.shape[0] != weights.shape[1] or bool(np.any(weights != np.eye(len(weights))))
