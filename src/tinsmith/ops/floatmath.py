"""The single-precision functions the runtime calls, on float32 arrays.

Each is the float64 function rounded once to float32, the same on every platform (arithmetic §13). Overflow, division
by zero and invalid arguments give infinities and NaN silently, as in C.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def expf(x: Float32) -> Float32:
    """e**x."""
    with np.errstate(all="ignore"):
        return np.exp(x.astype(np.float64)).astype(np.float32)


def logf(x: Float32) -> Float32:
    """Natural logarithm: -inf at 0, NaN below."""
    with np.errstate(all="ignore"):
        return np.log(x.astype(np.float64)).astype(np.float32)


def powf(x: Float32, y: Float32) -> Float32:
    """x**y with C's special cases."""
    with np.errstate(all="ignore"):
        return np.power(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)


def fmodf(x: Float32, y: Float32) -> Float32:
    """Remainder of the truncated division, exact; it has the sign of ``x``, and is NaN where ``y`` is 0."""
    with np.errstate(all="ignore"):
        return np.fmod(x, y, dtype=np.float32)


def sqrtf(x: Float32) -> Float32:
    """Square root, NaN below 0."""
    with np.errstate(all="ignore"):
        return np.sqrt(x, dtype=np.float32)


def sigmoid(x: Float32) -> Float32:
    """``f32(1.0 / (1.0 + (double)expf(-x)))`` (arithmetic §4.2)."""
    with np.errstate(all="ignore"):
        return (1.0 / (1.0 + expf(-x).astype(np.float64))).astype(np.float32)


def tanh(x: Float32) -> Float32:
    """``f32(f32(2·sigmoid(f32(2x))) - 1)``, which is not tanhf (arithmetic §4.2)."""
    two, one = np.float32(2), np.float32(1)
    result: Float32 = two * sigmoid(two * x) - one
    return result


def erf(x: NDArray[Any]) -> Float64:
    """The error function in float64."""
    values = [math.erf(value) for value in np.asarray(x, dtype=np.float64).ravel()]
    return np.asarray(values, dtype=np.float64).reshape(np.shape(x))
