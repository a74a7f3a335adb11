"""What GRU and LSTM are made of: dot products to int16, and gate functions from tables (arithmetic §9.2, §9.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from tinsmith.ops.call import Array
from tinsmith.ops.floatmath import Float32, sigmoid, tanh
from tinsmith.ops.values import power
from tinsmith.quant.rounding import Rounding, qrange
from tinsmith.targets import Target

GATE_LOW, GATE_HIGH = qrange(16)
_SIGMOID_LIMIT, _TANH_LIMIT = np.float32(6.3), np.float32(3.5)
_LARGEST_SHIFT = 40


def rounded(v: Array, rounding: Rounding, low: int, high: int) -> Array:
    """sat(R(v)) of finite floats as int64; clipped first, which is the same since the limits are whole numbers.

    For float32, adding 0.5 in float32 is the same single rounding of the same exact sum that R does.
    """
    inside = np.minimum(np.maximum(v, v.dtype.type(low)), v.dtype.type(high))
    whole = np.floor(inside + v.dtype.type(0.5)) if rounding is Rounding.HALF_UP else np.rint(inside)
    integers: Array = whole.astype(np.int64)
    return integers


@dataclass(frozen=True, slots=True, eq=False)
class Dot:
    """Rows of int8 or int16 weights times integer vectors, each product an int16 in units of the gates.

    The sum is exact: every partial sum stays below 2^53, so float64 matrix products hold it. The vector unit's 40-bit
    accumulator, which rows of 512 and more full-scale int16 products could saturate, is not modelled.

    Attributes:
        columns: The weights, transposed: (n, rows) as float64.
        scale: 2**-shift; shift is the gate exponent minus the exponents of vector and weights.
        integer: Whether the sum is shifted in integers (vector unit) or scaled in float32. Shifts of such sums are
            exact in float64, too.
        rounding: The target's rounding.
    """

    columns: Array
    scale: float
    integer: bool
    rounding: Rounding

    @classmethod
    def of(cls, weights: Array, shift: int, target: Target) -> Dot:
        """The dot product as the target runs it.

        Args:
            weights: (rows, n), int8 or int16.
            shift: -40 … 40.
            target: The chip.

        Raises:
            ValueError: The shift is beyond any use.
        """
        if abs(shift) > _LARGEST_SHIFT:
            raise ValueError(f"a shift by {shift} between products and gates")
        block = target.vector_minimum[8 * weights.dtype.itemsize] if target.vector_minimum else None
        integer = target.simd and block is not None and weights.shape[1] % block == 0 and shift >= 0
        return cls(np.ascontiguousarray(weights.T, dtype=np.float64), 2.0**-shift, integer, target.rounding)

    def __call__(self, vectors: Array) -> Array:
        """Integers (…, n) → (…, rows), int64 within int16."""
        sums = vectors.astype(np.float64) @ self.columns
        scaled = sums * self.scale if self.integer else sums.astype(np.float32) * np.float32(self.scale)
        return rounded(scaled, self.rounding, GATE_LOW, GATE_HIGH)


def float_dot(weights: Float32, vectors: Float32) -> Float32:
    """Float vectors (m, n) times rows of weights (rows, n) → (m, rows), term after term in float32 as the C code does.

    The vector units' float kernels add in an order of their own, which is not modelled.
    """
    total = np.zeros((len(vectors), len(weights)), dtype=np.float32)
    for column in range(weights.shape[1]):
        total += vectors[:, column, None] * weights[:, column]
    return total


@dataclass(frozen=True, slots=True, eq=False)
class Gates:
    """Sigmoid and tanh of integers in units of 2**exponent, by look-up: ``sigmoid[k]`` for k = -65536 … 65535.

    Negative k count from the end, as in Python.
    """

    sigmoid: Float32
    tanh: Float32


@cache
def gates_of(exponent: int) -> Gates:
    """The tables for a gate exponent (-16 … 0).

    The runtime's own tables hold 0, 1, 2 … units up to the first beyond 6.3 (sigmoid) and 3.5 (tanh), and everything
    beyond is their last entry; negative numbers are ``f32(1 - σ[-k])`` and -τ[-k].
    """

    def positive(function: Callable[[Float32], Float32], limit: np.float32) -> Float32:
        last = int(limit / power(exponent)) + 1
        return function(np.arange(last + 1).astype(np.float32) * power(exponent))[np.minimum(np.arange(65537), last)]

    sigmoids, tanhs = positive(sigmoid, _SIGMOID_LIMIT), positive(tanh, _TANH_LIMIT)
    return Gates(
        np.concatenate([sigmoids[:-1], np.float32(1) - sigmoids[:0:-1]]), np.concatenate([tanhs[:-1], -tanhs[:0:-1]])
    )
