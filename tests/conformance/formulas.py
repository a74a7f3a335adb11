"""The integer kernels of arithmetic §2 and others, once more: plain Python integers, one product after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tests.conformance.kernel_files import Array

HALF_UP = {"esp32s3": True, "c": True, "esp32p4": False}


def clipped(value: int, bits: int) -> int:
    """Saturation to a signed width."""
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, value))


def wrapped(value: int, bits: int) -> int:
    """Two's complement of that width."""
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def shifted(value: int, shift: int, target: str) -> int:
    """value / 2**shift, rounded as the target does."""
    if shift <= 0:
        return value << -shift
    if HALF_UP[target]:
        return (value + (1 << (shift - 1))) >> shift
    floor, rest = divmod(value, 1 << shift)
    half = 1 << (shift - 1)
    return floor + (rest > half or (rest == half and floor % 2 == 1))


@dataclass(frozen=True)
class Linear:
    """A convolution: x (H, W, C), weights (N, C/group, h, w) in the ONNX order, bias (N,) or None."""

    x: Array
    weights: Array
    bias: Array | None
    target: str
    bits: int
    shifts: Sequence[int]
    group: int = 1
    relu: bool = False
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def result(self) -> list[list[list[int]]]:
        """(OH, OW, N) integers of the output's width."""
        height, width, _ = self.x.shape
        filters, _, rows, columns = self.weights.shape
        top, left, bottom, right = self.pads
        out_h = (height + top + bottom - self.dilations[0] * (rows - 1) - 1) // self.strides[0] + 1
        out_w = (width + left + right - self.dilations[1] * (columns - 1) - 1) // self.strides[1] + 1
        return [[[self._output(i, j, n) for n in range(filters)] for j in range(out_w)] for i in range(out_h)]

    def _output(self, i: int, j: int, n: int) -> int:
        total = self._lane(n)(0 if self.bias is None else int(self.bias[n]), self._taps(i, j, n))
        found = shifted(total, self.shifts[n % len(self.shifts)], self.target)
        return clipped(max(0, found) if self.relu else found, self.bits)

    def _taps(self, i: int, j: int, n: int) -> Iterator[list[int]]:
        """Products tap by tap: kernel row, kernel column, input channel."""
        for r, s in np.ndindex(*self.weights.shape[2:]):
            y = i * self.strides[0] + r * self.dilations[0] - self.pads[0]
            z = j * self.strides[1] + s * self.dilations[1] - self.pads[1]
            if 0 <= y < self.x.shape[0] and 0 <= z < self.x.shape[1]:
                seen = self.x[y, z] if self.group == 1 else self.x[y, z, n : n + 1]
                yield [int(a) * int(b) for a, b in zip(seen, self.weights[n, :, r, s], strict=True)]

    def _lane(self, n: int) -> Callable[[int, Iterator[list[int]]], int]:
        """The accumulator of channel n, as the table in arithmetic §2.1 has it."""
        block = 16 if self.bits == 8 else 8
        filters = len(self.weights)
        tail = self.group == 1 and n >= filters // block * block
        if self.target == "c":
            return _wrapping(32 if self.bits == 8 else 64)
        if self.target == "esp32s3":
            if self.bits == 8:
                return _wrapping(40) if tail else _saturating(20, 1)
            return _saturating(40, 8 if tail else 1)
        if tail:
            return _wrapping(40) if self.bits == 8 else _saturating(40, 8)
        return _wrapping(32 if self.bits == 8 else 64)


def _wrapping(bits: int) -> Callable[[int, Iterator[list[int]]], int]:
    return lambda bias, taps: wrapped(bias + sum(map(sum, taps)), bits)


def _saturating(bits: int, every: int) -> Callable[[int, Iterator[list[int]]], int]:
    def run(bias: int, taps: Iterator[list[int]]) -> int:
        value = wrapped(bias, bits)
        for tap in taps:
            for start in range(0, len(tap), every):
                value = clipped(value + sum(tap[start : start + every]), bits)
        return value

    return run


def packed(weights: Array, target: str, bits: int, *, depthwise: bool) -> Array:
    """Weights (N, C/group, h, w) in the order of the file, flat."""
    walk = weights.transpose(0, 2, 3, 1)  # N H W C
    if target == "c":
        return (walk.transpose(1, 2, 3, 0) if depthwise else walk).reshape(-1)
    block = 16 if bits == 8 else 8
    split = len(weights) // block * block
    vectors = walk[:split].reshape(-1, block, *walk.shape[1:]).transpose(0, 2, 3, 4, 1)
    rest = walk[split:].transpose(3, 1, 2, 0) if depthwise else walk[split:]
    return np.concatenate([vectors.reshape(-1), rest.reshape(-1)])
