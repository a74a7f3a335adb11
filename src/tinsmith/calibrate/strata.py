"""Few elements that stand for many: the large ones exactly, the rest by a strided subset.

Clipping errors come from few large elements, which a subset would miss or overcount; rounding errors come from all
elements alike, where a few thousand say as much as a million. So every element above the subset's largest 1/64 is
taken itself, with weight 1, and the subset below that line stands for the others.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np

from tinsmith.quant.rounding import FloatArray

Strata = tuple[tuple[FloatArray, float], ...]
"""Groups of elements (1-D) and how many elements each of theirs stands for."""

SPARSE = 4096
"""Elements of the subset that errors are estimated from."""

DENSE = 32768
"""Elements of the subset that histograms are estimated from: entropy sees the noise in 2,048 bins."""

_TAIL = 64


def everything(values: FloatArray) -> Strata:
    """All elements, each for itself."""
    return ((values, 1.0),)


def strata(values: FloatArray, low: float, high: float, index: int, subset: int = SPARSE) -> Strata:
    """Choose the elements of one sample's tensor; a function of the arguments alone.

    Args:
        values: float32, 1-D, finite.
        low: The smallest of them.
        high: The largest of them.
        index: Number of the sample: successive samples contribute different positions.
        subset: About how many elements of the body to take.

    Returns:
        All elements where there are few; else the tail and the subset of the body. The weights add up to the size.
    """
    if values.size <= 2 * subset:
        return everything(values)
    step = _stride(values.size, subset)
    chosen = np.ascontiguousarray(values[index * (step * 5 // 8 | 1) % step :: step])
    magnitudes = np.abs(chosen)
    few = magnitudes[:: max(subset // SPARSE, 1)]
    place = few.size - few.size // _TAIL
    limit = np.partition(few, place)[place]
    tail = _beyond(values, float(limit), low, high)
    body = chosen[magnitudes <= limit]
    return ((tail, 1.0), (body, (values.size - tail.size) / body.size))


def _beyond(values: FloatArray, limit: float, low: float, high: float) -> FloatArray:
    """The values whose magnitude exceeds the limit, given their extremes."""
    if high > limit and low < -limit:
        mask = values > limit
        mask |= values < -limit
        return values[mask]
    if high > limit:
        return values[values > limit]
    if low < -limit:
        return values[values < -limit]
    return values[:0]


@lru_cache(maxsize=4096)
def _stride(size: int, subset: int) -> int:
    """A step near ``size / subset`` without a common factor with the size: no row, column or channel is favoured."""
    step = max(size // subset, 1)
    while gcd(step, size) != 1:
        step += 1
    return step
