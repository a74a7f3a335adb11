"""Exact integer convolutions and matrix products at the speed of float ones.

Products of integers summed in float32 are exact while no partial sum can leave 2**24, in float64 while none can leave
2**53: ``max|x| · Σ|w|`` bounds them all, whatever the order of summation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FLOAT32_EXACT = 2.0**24
FLOAT64_EXACT = 2.0**53
_COLUMNS = 1 << 24
"""Most elements a block of unfolded windows may hold at a time."""


def carrier(bound: float) -> type[np.float32] | type[np.float64] | type[np.int64]:
    """The fastest type whose sums are exact while every partial sum stays within ``bound``."""
    if bound < FLOAT32_EXACT:
        return np.float32
    return np.float64 if bound < FLOAT64_EXACT else np.int64


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a kernel walks over an input of two spatial dimensions.

    Attributes:
        kernel: Taps, (rows, columns).
        strides: Steps between windows.
        dilations: Steps between taps.
        pads: Zeros around the input: top, left, bottom, right.
    """

    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the output.

        Raises:
            ValueError: No window fits, or a parameter makes no sense.
        """
        if min(*self.kernel, *self.strides, *self.dilations) < 1 or min(self.pads) < 0:
            raise ValueError(f"impossible kernel, strides, dilations or pads: {self}")
        result = []
        for axis, length in enumerate((height, width)):
            room = length + self.pads[axis] + self.pads[axis + 2] - self.dilations[axis] * (self.kernel[axis] - 1) - 1
            if room < 0:
                raise ValueError(f"the kernel is larger than the padded input: {self} on {height}×{width}")
            result.append(room // self.strides[axis] + 1)
        return result[0], result[1]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Many sums of products: a convolution of one sample, or a matrix product (one window per row).

    Attributes:
        padded: Integer input (H, W, C), zeros around it included.
        weights: Integers (N, rows, columns, C), ordered as the kernels walk; depthwise (C, rows, columns, 1).
        geometry: The walk; its `pads` are already in ``padded``.
        depthwise: Whether channel n of the output sees channel n of the input only.
    """

    padded: Array
    weights: Array
    geometry: Geometry
    depthwise: bool

    @classmethod
    def convolution(cls, x: Array, weights: Array, geometry: Geometry, *, depthwise: bool) -> Sums:
        """A convolution of ``x`` (H, W, C) with ``weights`` (N, C/group, rows, columns), ONNX order.

        Raises:
            ValueError: The shapes do not fit.
        """
        if x.shape[2] != (weights.shape[0] if depthwise else weights.shape[1]):
            raise ValueError(f"{x.shape[2]} input channels do not fit weights {weights.shape}")
        geometry.size(*x.shape[:2])
        top, left, bottom, right = geometry.pads
        padded = np.pad(x, ((top, bottom), (left, right), (0, 0))) if any(geometry.pads) else x
        inside = replace(geometry, pads=(0, 0, 0, 0))
        return cls(np.ascontiguousarray(padded), weights.transpose(0, 2, 3, 1), inside, depthwise)

    @classmethod
    def product(cls, x: Array, matrix: Array) -> Sums:
        """The matrix product of ``x`` (rows, C) and ``matrix`` (C, N).

        Raises:
            ValueError: The shapes do not fit.
        """
        if x.shape[1] != matrix.shape[0]:
            raise ValueError(f"shapes {x.shape} and {matrix.shape} do not multiply")
        return cls(np.ascontiguousarray(x)[:, None, :], matrix.T[:, None, None, :], Geometry(), False)

    @property
    def channels(self) -> int:
        """N."""
        return int(self.weights.shape[0])

    @property
    def terms(self) -> int:
        """Products per sum."""
        return int(np.prod(self.weights.shape[1:]))

    @property
    def windows(self) -> Array:
        """The input as windows (OH, OW, rows, columns, C): a view, nothing is copied."""
        height, width, channels = self.padded.shape
        row, column, item = self.padded.strides
        (stride_y, stride_x), (dilation_y, dilation_x) = self.geometry.strides, self.geometry.dilations
        return np.lib.stride_tricks.as_strided(
            self.padded,
            (*self.geometry.size(height, width), *self.geometry.kernel, channels),
            (row * stride_y, column * stride_x, row * dilation_y, column * dilation_x, item),
            writeable=False,
        )

    def select(self, channels: slice | Array) -> Sums:
        """The same for some output channels."""
        padded = self.padded[:, :, channels] if self.depthwise else self.padded
        return replace(self, padded=np.ascontiguousarray(padded), weights=self.weights[channels])

    def magnitudes(self) -> Sums:
        """The sums of |x|·|w|."""
        return replace(self, padded=np.abs(self.padded.astype(np.int32)), weights=np.abs(self.weights.astype(np.int32)))

    def exact(self) -> Array:
        """The sums: int64 (OH, OW, N)."""
        largest = float(np.abs(self.padded.astype(np.int32)).max(initial=0))
        heaviest = float(np.abs(self.weights.astype(np.int64)).sum(axis=(1, 2, 3)).max(initial=0))
        dtype = carrier(largest * heaviest)
        total = self._taps(dtype) if self.depthwise else self._columns(dtype)
        return total.astype(np.int64)

    def _columns(self, dtype: type[Any]) -> Array:
        windows = self.windows
        rows, columns = windows.shape[:2]
        matrix = self.weights.reshape(self.channels, -1).astype(dtype).T
        step = max(1, _COLUMNS // max(1, columns * self.terms))
        parts = [
            windows[start : start + step].astype(dtype).reshape(-1, self.terms) @ matrix
            for start in range(0, rows, step)
        ]
        return np.concatenate(parts).reshape(rows, columns, self.channels)

    def _taps(self, dtype: type[Any]) -> Array:
        windows, weights = self.windows, self.weights.astype(dtype)
        total = np.zeros((*windows.shape[:2], self.channels), dtype)
        for row, column in np.ndindex(*self.geometry.kernel):
            total += windows[:, :, row, column] * weights[:, row, column, 0]
        return total

    def reach(self) -> tuple[Array, Array]:
        """Per channel, what no partial sum can go below or beyond, given the smallest and largest input: int64 (N,)."""
        low = min(0, int(self.padded.min(initial=0)))
        high = max(0, int(self.padded.max(initial=0)))
        wide = self.weights.reshape(self.channels, -1).astype(np.int64)
        positive, negative = np.maximum(wide, 0).sum(axis=1), np.minimum(wide, 0).sum(axis=1)
        return high * negative + low * positive, high * positive + low * negative

    def products(self, rows: Array, columns: Array, channels: Array) -> Array:
        """The products of some sums, in the kernels' order: int64 (len(rows), taps, C/group)."""
        weights = self.weights[channels].astype(np.int64)
        if self.depthwise:
            inputs = self.windows[rows, columns, :, :, channels][..., None]
        else:
            inputs = self.windows[rows, columns]
        taps = self.geometry.kernel[0] * self.geometry.kernel[1]
        return (inputs * weights).reshape(len(rows), taps, self.weights.shape[3])
