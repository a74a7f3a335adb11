"""Which exponents a tensor may take, and the squared error of each.

Two facts keep the number of candidates small and the arithmetic cheap.

* Let *fit* be the smallest exponent at which no value lies further than half a step from the integer range. Every
  grid point of a coarser exponent is a grid point of the fitting one too, so from *fit* upwards the error of each
  element only grows: the best exponent is *fit* or finer, where rounding gains what clipping loses.
* The distance from a value to the nearest integer does not depend on how ties are broken, and it saturates the same
  way. So the squared error of rounding to nearest is the same for every chip; ``squared_error`` is the definition with
  the chip's own rounding, ``squared_errors`` the quick form that need not know it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.quant.rounding import FloatArray, Rounding, qrange

FINEST = -100
"""No fitting exponent goes below this: steps of 2**-100 are zero for every purpose, and float32 ends at 2**-126."""

BELOW = {8: 7, 16: 3}
"""Candidates finer than the fitting exponent, by width. At 16 bits clipping hardly ever pays."""

_CHUNK = 8192


def fit_exponents(minimum: FloatArray, maximum: FloatArray, bits: int) -> NDArray[np.int64]:
    """The smallest exponent at which nothing saturates by more than half a step, element by element.

    Args:
        minimum: Smallest values, finite, any shape.
        maximum: Largest values, finite, the same shape.
        bits: 8 or 16.

    Returns:
        int64 exponents, never below ``FINEST``; for a range of exactly zero, ``-(bits - 1)``: the range [-1, 1).
    """
    low, high = qrange(bits)
    above, below = np.maximum(maximum, 0.0), np.maximum(-minimum, 0.0)
    need = np.maximum(_exponents_for(above, high + 0.5), _exponents_for(below, 0.5 - low))
    fitting = np.maximum(need, FINEST)
    result: NDArray[np.int64] = np.where((above == 0) & (below == 0), 1 - bits, fitting).astype(np.int64)
    return result


def fit_exponent(minimum: float, maximum: float, bits: int) -> int:
    """``fit_exponents`` of one tensor."""
    return int(fit_exponents(np.asarray(minimum), np.asarray(maximum), bits))


def _exponents_for(values: FloatArray, limit: float) -> NDArray[Any]:
    """The smallest e with ``values <= limit * 2**e``, exactly; far below ``FINEST`` for zero."""
    mantissa, exponent = np.frexp(values)
    limit_mantissa, limit_exponent = np.frexp(limit)
    need = exponent - limit_exponent + (mantissa > limit_mantissa)
    return np.where(values == 0, 2 * FINEST, need)


def window(fit: int, bits: int) -> range:
    """The candidates of a tensor whose fitting exponent is ``fit``, finest first."""
    return range(fit - BELOW[bits], fit + 1)


def squared_error(values: FloatArray, exponent: int, bits: int, rounding: Rounding) -> float:
    """Σ (x - q(x)·2**e)² in float64, q being the chip's own quantization: the definition."""
    wide = values.astype(np.float64)
    integers = rounding.quantize(values, exponent, bits)
    difference = wide - np.ldexp(integers.astype(np.float64), exponent)
    return float(np.sum(difference * difference))


def squared_errors(values: FloatArray, exponents: Sequence[int], bits: int) -> FloatArray:
    """Σ (x - q(x)·2**e)² for several exponents, in single precision: differences exact, sums to about 1e-6.

    Args:
        values: float32, 1-D.
        exponents: The candidates; the finest no more than ``BELOW[bits]`` below the one that fits ``values``.
        bits: 8 or 16.

    Returns:
        float64, one sum per exponent.
    """
    low, high = qrange(bits)
    exact = np.asarray(exponents, dtype=np.int32)
    inverse = np.ldexp(np.float32(1.0), -exact)[:, None]
    total = np.zeros(len(exact), dtype=np.float64)
    scaled = np.empty((len(exact), min(values.size, _CHUNK)), dtype=np.float32)
    nearest = np.empty_like(scaled)
    for start in range(0, values.size, _CHUNK):
        part = values[start : start + _CHUNK]
        steps, integers = scaled[:, : part.size], nearest[:, : part.size]
        np.multiply(part, inverse, out=steps)
        np.rint(steps, out=integers)
        np.clip(integers, low, high, out=integers)
        np.subtract(steps, integers, out=steps)
        total += np.einsum("ij,ij->i", steps, steps)
    result: FloatArray = np.ldexp(total, 2 * exact)
    return result
