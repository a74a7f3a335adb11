"""How simulated tensors are compared with what the runtime computed: integers exactly, floats within 2 ulp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def differing(found: NDArray[Any], expected: NDArray[Any]) -> int:
    """The number of elements that differ; every element where the shapes do.

    Booleans are compared as 0 and 1. Floats differ when more than 2 units in the last place apart; NaN equals NaN.
    """
    mine = found.astype(np.uint8) if found.dtype == bool else found
    mine = mine.reshape(1) if mine.ndim == 0 and expected.shape == (1,) else mine
    if mine.shape != expected.shape or mine.dtype.kind != expected.dtype.kind:
        return int(max(mine.size, expected.size, 1))
    if mine.dtype.kind != "f":
        return int(np.sum(mine != expected))
    a, b = mine.astype(np.float32), expected.astype(np.float32)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    finite = np.isfinite(a) & np.isfinite(b)
    ulp = np.spacing(np.maximum(np.abs(a), np.abs(b), where=finite, out=np.zeros_like(a)))
    close = finite & (np.abs(a.astype(np.float64) - b) <= 2 * ulp.astype(np.float64))
    return int(np.sum(~(same | close)))
