"""What GRU and LSTM are made of: dot products to int16, and gate functions from tables (SEMANTICS_MATH §1.2, 1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from tinsmith.ops import floatmath
from tinsmith.ops.call import Array
from tinsmith.ops.floatmath import Float32
from tinsmith.ops.values import power
from tinsmith.quant.rounding import Rounding, saturate
from tinsmith.targets import Target

GATE_BITS = 16
_SIGMOID_LIMIT, _TANH_LIMIT = np.float32(6.3), np.float32(3.5)


@dataclass(frozen=True, slots=True, eq=False)
class Dot:
    """Rows of int8 or int16 weights times integer vectors, each product an int16 in units of the gates.

    The sum is exact: every partial sum stays below 2^53, so float64 matrix products hold it. The vector unit's 40-bit
    accumulator, which rows of 512 and more full-scale int16 products could saturate, is not modelled.

    Attributes:
        weights: (rows, n) as float64.
        shift: Gate exponent minus the exponents of vector and weights.
        integer: Whether the sum is shifted in integers (vector unit) or scaled in float32.
        rounding: The target's rounding.
    """

    weights: Array
    shift: int
    integer: bool
    rounding: Rounding

    @classmethod
    def of(cls, weights: Array, shift: int, target: Target) -> Dot:
        """The dot product as the target runs it."""
        block = target.vector_minimum[8 * weights.dtype.itemsize] if target.vector_minimum else None
        integer = target.simd and block is not None and weights.shape[1] % block == 0 and shift >= 0
        return cls(weights.astype(np.float64), shift, integer, target.rounding)

    def __call__(self, vectors: Array) -> Array:
        """Integers (…, n) → (…, rows), int64 within int16."""
        sums = vectors.astype(np.float64) @ self.weights.T
        if self.integer:
            return saturate(self.rounding.rshift(sums.astype(np.int64), self.shift), GATE_BITS)
        return saturate(self.rounding.to_int(sums.astype(np.float32) * power(-self.shift)), GATE_BITS)


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
    """Sigmoid and tanh of integers in units of 2**exponent, by look-up; beyond the tables' ends they stay as they are.

    Attributes:
        sigmoids: Of 0, 1, 2 … units up to the first beyond 6.3.
        tanhs: Of 0, 1, 2 … units up to the first beyond 3.5.
    """

    sigmoids: Float32
    tanhs: Float32

    def sigmoid(self, units: Array) -> Float32:
        """σ[k], for negative k ``f32(1 - σ[-k])``."""
        found = self.sigmoids[np.minimum(np.abs(units), len(self.sigmoids) - 1)]
        result: Float32 = np.where(units < 0, np.float32(1) - found, found)
        return result

    def tanh(self, units: Array) -> Float32:
        """τ[k], for negative k -τ[-k]."""
        found = self.tanhs[np.minimum(np.abs(units), len(self.tanhs) - 1)]
        result: Float32 = np.where(units < 0, -found, found)
        return result


@cache
def gates_of(exponent: int) -> Gates:
    """The tables for a gate exponent (-16 … 0)."""

    def points(limit: np.float32) -> Float32:
        last = int(limit / power(exponent)) + 1
        return np.arange(last + 1).astype(np.float32) * power(exponent)

    return Gates(floatmath.sigmoid(points(_SIGMOID_LIMIT)), floatmath.tanh(points(_TANH_LIMIT)))
