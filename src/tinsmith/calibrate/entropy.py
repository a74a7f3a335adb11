"""Entropy calibration: how much a clipped and coarsened histogram differs from the original (Migacz, GTC 2017).

Only powers of two are thresholds here, and bins have widths that are powers of two, so every threshold is a bin edge.
Exact zeros are left out: every exponent holds them, and after a Relu they would drown everything else.
"""

from __future__ import annotations

import numpy as np

from tinsmith.calibrate.stats import Histogram
from tinsmith.quant.rounding import FloatArray

_LEVELS = 128
_FLOOR = 1e-10


def entropy_exponent(histogram: Histogram, fit: int, bits: int) -> int:
    """The candidate with the smallest divergence; of equal ones the coarsest.

    At 16 bits there are more levels than bins and nothing to compare: the fitting exponent.

    Args:
        histogram: Magnitudes.
        fit: The fitting exponent, the coarsest candidate.
        bits: 8 or 16.
    """
    if bits > 8:
        return fit
    finest = histogram.exponent  # fewer bins than levels below it
    candidates = range(fit, min(finest, fit) - 1, -1)
    return min(candidates, key=lambda exponent: divergence(histogram, exponent))


def divergence(histogram: Histogram, exponent: int) -> float:
    """KL(P ‖ Q) of a histogram clipped at ``128 * 2**exponent``.

    P is the magnitudes below the threshold, the rest added to the last bin; Q is their 128 levels without that rest,
    each spread evenly over the bins that P fills.

    Args:
        histogram: Magnitudes.
        exponent: No finer than the histogram's bins.
    """
    per_level = 1 << (exponent - histogram.exponent)
    kept = np.zeros(_LEVELS * per_level)
    used = min(len(kept), len(histogram.counts))
    kept[:used] = histogram.counts[:used]
    reference = kept.copy()
    reference[-1] += histogram.counts[used:].sum()
    total = reference.sum()
    if total <= 0:
        return 0.0
    quantized = _spread(kept.reshape(_LEVELS, per_level), (reference > 0).reshape(_LEVELS, per_level))
    filled = reference > 0
    p = reference[filled] / total
    q = np.maximum(quantized[filled] / max(quantized.sum(), _FLOOR), _FLOOR)
    return float(np.sum(p * np.log(p / q)))


def _spread(levels: FloatArray, filled: FloatArray) -> FloatArray:
    """Each level's total, shared evenly among its filled bins; flat."""
    share = levels.sum(axis=1, keepdims=True) / np.maximum(filled.sum(axis=1, keepdims=True), 1)
    result: FloatArray = np.where(filled, share, 0.0).reshape(-1)
    return result
