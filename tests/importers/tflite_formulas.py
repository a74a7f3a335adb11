"""What TFLite's operators compute, by their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SAME, VALID = 0, 1


def windows(
    x: Array, kernel: Sequence[int], steps: Sequence[int], padding: int, dilation: int, filling: float
) -> Array:
    """The windows of a picture: (row, column, window row, window column, channel)."""
    reach = [(k - 1) * dilation + 1 for k in kernel]
    out, before, behind = [], [], []
    for size, r, s in zip(x.shape[1:3], reach, steps, strict=True):
        count = math.ceil(size / s) if padding == SAME else math.ceil((size - r + 1) / s)
        total = max((count - 1) * s + r - size, 0) if padding == SAME else 0
        out.append(count)
        before.append(total // 2)
        behind.append(total - total // 2)
    padded = np.pad(x[0], ((before[0], behind[0]), (before[1], behind[1]), (0, 0)), constant_values=np.float32(filling))
    found = np.empty((*out, *kernel, x.shape[3]))
    for i in range(out[0]):
        for j in range(out[1]):
            top, left = i * steps[0], j * steps[1]
            found[i, j] = padded[top : top + reach[0] : dilation, left : left + reach[1] : dilation]
    return found


def conv(x: Array, w: Array, bias: Array, steps: Sequence[int], padding: int, dilation: int = 1) -> Array:
    """A convolution, by its definition."""
    found = windows(x, w.shape[1:3], steps, padding, dilation, 0.0)
    return (np.einsum("ijklc,oklc->ijo", found, w) + bias)[None].astype(np.float32)


def depthwise(x: Array, w: Array, bias: Array, steps: Sequence[int], padding: int) -> Array:
    """One filter per channel, or several that stand together."""
    found = windows(x, w.shape[1:3], steps, padding, 1, 0.0)
    times = w.shape[3] // x.shape[3]
    split = w[0].reshape(*w.shape[1:3], x.shape[3], times)
    return (np.einsum("ijklc,klcm->ijcm", found, split).reshape(*found.shape[:2], -1) + bias)[None].astype(np.float32)


def transposed(x: Array, w: Array, out: Sequence[int], step: int) -> Array:
    """Each pixel spreads over a window; the border is cut off evenly, the odd one behind."""
    rows, columns = w.shape[1:3]
    full = np.zeros(((x.shape[1] - 1) * step + rows + step, (x.shape[2] - 1) * step + columns + step, w.shape[0]))
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            full[i * step : i * step + rows, j * step : j * step + columns] += np.einsum("c,oklc->klo", x[0, i, j], w)
    starts = [max((n - 1) * step + k - o, 0) // 2 for n, k, o in zip(x.shape[1:3], (rows, columns), out, strict=True)]
    cut = full[starts[0] : starts[0] + out[0], starts[1] : starts[1] + out[1]]
    return cut[None].astype(np.float32)


def pool(x: Array, kernel: Sequence[int], steps: Sequence[int], padding: int, take: Callable[..., Array]) -> Array:
    """What ``take`` makes of each window; the border counts as nothing."""
    found = windows(x, kernel, steps, padding, 1, np.nan)
    return take(found, axis=(2, 3))[None].astype(np.float32)


def resized(x: Array, out: Sequence[int], linear: bool, aligned: bool, centers: bool) -> Array:
    """Rows, then columns, each from the places that the options name."""
    for axis, size in ((1, out[0]), (2, out[1])):
        given = x.shape[axis]
        scale = (given - 1) / (size - 1) if aligned and size > 1 else given / size
        places = (np.arange(size) + 0.5) * scale - (0.5 if linear else 0) if centers else np.arange(size) * scale
        if linear:
            places = np.clip(places, 0, given - 1)
            low = np.floor(places).astype(int)
            share = (places - low).reshape([-1 if a == axis else 1 for a in range(4)])
            high = np.minimum(low + 1, given - 1)
            x = x.take(low, axis) * (1 - share) + x.take(high, axis) * share
        else:
            nearest = np.floor(places + 0.5) if aligned else np.floor(places)
            x = x.take(np.clip(nearest, 0, given - 1).astype(int), axis)
    return x.astype(np.float32)


def sigmoid(x: Array) -> Array:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    """Over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def erf_gelu(x: Array) -> Array:
    """By the normal distribution."""
    return x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
