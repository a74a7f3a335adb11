"""Which input elements a Resize reads: as the runtime computes it, and as ONNX means it (arithmetic §12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinsmith.ops.call import Array, Call
from tinsmith.ops.floatmath import Float32
from tinsmith.ops.floatnode import FloatNode

Index = NDArray[np.int64]
HALF, ONE = np.float32(0.5), np.float32(1)
MODES = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric")
CLOSE = 1e-4
"""Distance, in elements, below which two positions count as the same: float32's own error on long dimensions."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """How one dimension is resized: elements in, elements out, and the factor as the runtime has it."""

    length: int
    result: int
    scale: np.float32

    def nearest(self) -> Index:
        """``min((int)f32(i · f32(1/scale)), n - 1)``."""
        positions = np.arange(self.result, dtype=np.float32) * (ONE / self.scale)
        return np.minimum(positions.astype(np.int64), self.length - 1)

    def linear(self, align_corners: bool) -> tuple[Index, Float32]:
        """Left neighbour and weight of the right one.

        Corners aligned: fx = f32(i · f32(1/f32((out-1)/(in-1)))); else f32(f32(f32(i + 0.5) · f32(1/scale)) - 0.5),
        whatever the attribute says. Before the first element the first, from the last on the last.
        """
        i = np.arange(self.result, dtype=np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            if align_corners:
                fx = i * (ONE / (np.float32(self.result - 1) / np.float32(self.length - 1)))
            else:
                fx = (i + HALF) * (ONE / self.scale) - HALF
        fx = np.nan_to_num(fx)
        left = np.floor(fx)
        weight: Float32 = np.where(left < 0, np.float32(0), fx - left).astype(np.float32)
        weight = np.where(left >= self.length - 1, ONE, weight)
        return np.clip(left.astype(np.int64), 0, max(self.length - 2, 0)), weight


def stretches(shape: Sequence[int], scales: Array | None, sizes: Array | None) -> tuple[Stretch, ...]:
    """Each spatial dimension of an ONNX-ordered shape, from `sizes` where given, else from `scales`."""
    found: list[Stretch] = []
    for axis in range(2, len(shape)):
        length = shape[axis]
        if sizes is not None:
            result = int(sizes.reshape(-1)[axis])
            found.append(Stretch(length, result, np.float32(result) / np.float32(length)))
        elif scales is not None:
            scale = np.float32(scales.reshape(-1)[axis])
            found.append(Stretch(length, int(np.float32(length) * scale), scale))
        else:
            raise ValueError("neither scales nor sizes are given")
    return tuple(found)


def stretches_of(call: Call) -> tuple[Stretch, ...]:
    """The spatial dimensions of a program node; `scales` and `sizes` stay in the ONNX order."""
    shape = call.arg(0).data.shape
    scales, sizes = call.optional(2), call.optional(3)
    return stretches(
        (shape[0], shape[-1], *shape[1:-1]),
        scales.data if scales is not None and scales.data.size else None,
        sizes.data if sizes is not None and sizes.data.size else None,
    )


def is_linear(call: Call) -> bool:
    """Whether it interpolates."""
    return call.attr("mode", "nearest") == "linear"


def corners(call: Call) -> bool:
    """Whether the corners' centres are aligned."""
    return call.attr("coordinate_transformation_mode", "half_pixel") == "align_corners"


def float_stretches(node: FloatNode) -> tuple[Stretch, ...]:
    """The spatial dimensions of a float node, as the program node it becomes will have them."""
    scales, sizes = factors_of(node)
    return stretches(node.input(0).shape, scales, sizes)


def factors_of(node: FloatNode) -> tuple[Array | None, Array | None]:
    """`scales` for all dimensions where they give the output's shape, else `sizes`; the other is None.

    Where nothing changes, sizes: ONNX Runtime copies such inputs, whatever the scales.
    """
    shape, result = node.input(0).shape, node.outputs[0].shape
    given = node.const(2)
    if given is not None and given.size and result != shape:
        axes = node.integers("axes", tuple(range(len(shape))))
        scales = np.ones(len(shape), np.float32)
        scales[list(axes)] = given.astype(np.float32)
        if tuple(int(np.float32(n) * s) for n, s in zip(shape, scales, strict=True)) == result:
            return scales, None
    return None, np.asarray(result, np.int64)


def positions(mode: str, length: int, result: int, scale: np.float32) -> Float32:
    """Positions in the input for each output element, in float32 as ONNX Runtime computes them.

    Args:
        mode: `coordinate_transformation_mode`, one of `MODES`.
        length: Elements in.
        result: Elements out.
        scale: The factor.

    Raises:
        ValueError: The mode is not one of `MODES`.
    """
    i = np.arange(result, dtype=np.float32)
    half_pixel = (i + HALF) / scale - HALF
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and result > 1):
        return half_pixel
    if mode == "pytorch_half_pixel":
        return np.zeros(result, np.float32)
    if mode == "asymmetric":
        return i / scale
    if mode == "align_corners":
        return i * np.float32(length - 1) / np.float32(result - 1) if result > 1 else np.zeros(result, np.float32)
    if mode == "half_pixel_symmetric":
        exact = np.float32(length) * scale
        return np.float32(length / 2) * (1 - np.float32(result) / exact) + half_pixel
    raise ValueError(f"coordinate_transformation_mode {mode!r}")


def nearest(where: Float32, mode: str, length: int) -> Index:
    """The elements `nearest_mode` picks at those positions."""
    rounded = {
        "round_prefer_floor": np.ceil(where - HALF),
        "round_prefer_ceil": np.floor(where + HALF),
        "floor": np.floor(where),
        "ceil": np.ceil(where),
    }[mode]
    index: Index = np.clip(rounded, 0, length - 1).astype(np.int64)
    return index


def close(where: Float32, other: Float32, length: int) -> bool:
    """Whether two interpolations read the same places, positions outside counting as the border."""
    inside = [np.clip(p.astype(np.float64), 0, length - 1) for p in (where, other)]
    return bool(np.all(np.abs(inside[0] - inside[1]) <= CLOSE))
