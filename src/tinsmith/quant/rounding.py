"""How the chips round: the one definition every other part of tinsmith uses.

Facts: arithmetic §1.

* ``HALF_UP``  floor(v + 0.5): esp32, s2, s3, c2, c3, c5, c6.
* ``HALF_EVEN`` nearest, ties to even: p4, s31.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[Any]
FloatArray = NDArray[Any]

_INT_LIMIT = 2.0**31
_NORMAL = 100
"""Powers of two that float32 holds as normal numbers, generously."""


def qrange(bits: int) -> tuple[int, int]:
    """Smallest and largest integer of a signed ``bits``-wide type."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def saturate(values: IntArray, bits: int) -> IntArray:
    """Clip integers to the signed ``bits``-wide range; the dtype is kept."""
    low, high = qrange(bits)
    return np.clip(values, low, high)


def wrap(values: IntArray, bits: int) -> IntArray:
    """Two's-complement wrap-around to ``bits`` bits, as int64."""
    half = 1 << (bits - 1)
    wide = values.astype(np.int64)
    return ((wide + half) & ((1 << bits) - 1)) - half


def scaled_by_power(values: FloatArray, exponent: IntArray) -> FloatArray:
    """``values * 2**exponent``, as `numpy.ldexp` gives it, but several times faster where a product is the same.

    Args:
        values: Real numbers.
        exponent: Whole numbers that broadcast against them.
    """
    kind = np.asarray(values).dtype
    if kind in (np.float32, np.float64) and np.abs(exponent).max(initial=0) <= _NORMAL:
        return np.asarray(values * np.ldexp(1.0, exponent.astype(np.int32)).astype(kind))
    return np.asarray(np.ldexp(values, exponent.astype(np.int32)))


class Rounding(Enum):
    """A target's rounding, for integers that shift and for floats that become integers."""

    HALF_UP = "half up"
    HALF_EVEN = "half to even"

    def rshift(self, values: IntArray, shift: int | IntArray) -> IntArray:
        """``values / 2**shift`` rounded, in integers.

        Args:
            values: Any integer array.
            shift: Scalar or broadcastable array; zero or negative shifts left.

        Returns:
            int64 array.
        """
        wide = values.astype(np.int64)
        amount = np.asarray(shift, dtype=np.int64)
        right = np.maximum(amount, 0)
        left = np.maximum(-amount, 0)
        half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), np.int64(0))
        if self is Rounding.HALF_UP:
            rounded = (wide + half) >> right
        else:
            floor = wide >> right
            remainder = wide - (floor << right)
            up = (remainder > half) | ((remainder == half) & (floor & 1 == 1))
            rounded = floor + np.where(right > 0, up, False)
        result: IntArray = np.where(left > 0, wide << left, rounded)
        return result

    def to_int(self, values: FloatArray) -> IntArray:
        """R(v) of float32 (or float64) values, as int64.

        Half up is ``floorf(f32((double)v + 0.5))``. Values beyond int32, infinities and NaN saturate as the chips'
        conversions do (NaN and +inf to the largest int32).
        """
        wide = values.astype(np.float64)
        if self is Rounding.HALF_UP:
            shifted = wide + 0.5
            rounded = np.floor(shifted.astype(np.float32) if values.dtype == np.float32 else shifted)
        else:
            rounded = np.rint(wide)
        clean = np.nan_to_num(rounded.astype(np.float64), nan=_INT_LIMIT, posinf=_INT_LIMIT, neginf=-_INT_LIMIT)
        result: IntArray = np.clip(clean, -_INT_LIMIT, _INT_LIMIT - 1).astype(np.int64)
        return result

    def quantize(self, values: FloatArray, exponent: int | IntArray, bits: int) -> IntArray:
        """``sat(round(values / 2**exponent))`` of real numbers, in the narrowest signed dtype of ``bits``.

        Computed in the values' own float type: the division by a power of two is exact.
        """
        scaled = scaled_by_power(values, -np.asarray(exponent, dtype=np.int64))
        low, high = qrange(bits)
        rounded = np.floor(scaled.astype(np.float64) + 0.5) if self is Rounding.HALF_UP else np.rint(scaled)
        result: IntArray = np.clip(rounded, low, high).astype(np.int8 if bits == 8 else np.int16)
        return result
