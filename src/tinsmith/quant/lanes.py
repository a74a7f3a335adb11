"""Accumulators that are narrower than the sum: the ESP32-S3's 20 and 40 bit lanes (arithmetic §2.1).

A lane starts from the bias, which wraps to its width, and saturates after every product (or every block of 8). Stepping
through all products would cost a hundred times the convolution, so almost all sums are cleared of suspicion first: by
the weights and the range of the input, then by Σ|x|·|w| of the actual input, then by the prefix sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinsmith.quant.linear import Array, Sums
from tinsmith.quant.rounding import qrange, wrap

_PRODUCTS = 1 << 22
"""Most products held at a time."""


@dataclass(frozen=True, slots=True)
class Lane:
    """The accumulator of some output channels.

    Attributes:
        channels: Which.
        bits: Its width.
        every: It saturates after that many products of one tap; 0: it never does, and wraps.
    """

    channels: slice
    bits: int
    every: int = 0


@dataclass(slots=True)
class Notes:
    """What happened in the lanes.

    Attributes:
        suspects: Sums that weights and input could not clear.
        saturated: Sums that saturated at least once.
        saturations: Steps that saturated.
        wrapped: Channels whose bias did not fit the lane.
        peak: Largest absolute value of a finished sum, bias included, before saturation.
    """

    suspects: int = 0
    saturated: int = 0
    saturations: int = 0
    wrapped: int = 0
    peak: int = 0


def accumulate(sums: Sums, bias: Array, lanes: Sequence[Lane]) -> tuple[Array, Notes]:
    """What the accumulators hold after the last product.

    Args:
        sums: The products.
        bias: Integers (N,).
        lanes: Accumulators; together they cover all channels.

    Returns:
        int64 (OH, OW, N), and notes.
    """
    notes = Notes()
    total = sums.exact()
    loaded = bias.astype(np.int64)
    for lane in lanes:
        if lane.bits < 64:
            loaded[lane.channels] = wrap(loaded[lane.channels], lane.bits)
    notes.wrapped = int(np.count_nonzero(loaded != bias))
    total += loaded
    notes.peak = max(int(total.max(initial=0)), -int(total.min(initial=0)))
    for lane in lanes:
        if lane.bits < 64 and notes.peak >= qrange(lane.bits)[1] and not lane.every:
            total[..., lane.channels] = wrap(total[..., lane.channels], lane.bits)
        elif lane.every:
            _saturate(sums.select(lane.channels), loaded[lane.channels], lane, total[..., lane.channels], notes)
    return total, notes


def _saturate(sums: Sums, bias: Array, lane: Lane, total: Array, notes: Notes) -> None:
    """Correct in place those of ``total`` (OH, OW, N) that saturated on the way."""
    low, high = qrange(lane.bits)
    lowest, highest = sums.reach()
    doubtful = np.flatnonzero((bias + lowest < low) | (bias + highest > high))
    if not doubtful.size:
        return
    start = bias[doubtful]
    gain = total[..., doubtful] - start
    size = sums.select(doubtful).magnitudes().exact()
    beyond = (start + (size + gain) // 2 > high) | (start - (size - gain) // 2 < low)
    rows, columns, which = np.nonzero(beyond)
    channels = doubtful[which]
    notes.suspects += len(rows)
    step = max(1, _PRODUCTS // sums.terms)
    for begin in range(0, len(rows), step):
        part = np.s_[begin : begin + step]
        where = rows[part], columns[part], channels[part]
        terms = blocks(sums.products(*where), lane.every)
        total[where] = _run(terms, bias[where[2]], lane, total[where], notes)


def blocks(products: Array, every: int) -> Array:
    """Sums of ``every`` consecutive products, starting anew with each tap: (P, taps, C) becomes (P, taps · blocks)."""
    count, taps, channels = products.shape
    if every == 1:
        return products.reshape(count, taps * channels)
    starts = np.arange(0, channels, every)
    return np.add.reduceat(products, starts, axis=2).reshape(count, taps * len(starts))


def _run(terms: Array, bias: Array, lane: Lane, exact: Array, notes: Notes) -> Array:
    """Step through those rows of ``terms`` (P, K) whose prefix sums leave the lane; the others stay ``exact``."""
    low, high = qrange(lane.bits)
    prefix = np.cumsum(terms, axis=1)
    leaves = (prefix.max(axis=1) + bias > high) | (prefix.min(axis=1) + bias < low)
    result = exact.copy()
    value = bias[leaves]
    for term in np.ascontiguousarray(terms[leaves].T):
        stepped = value + term
        value = np.clip(stepped, low, high)
        notes.saturations += int(np.count_nonzero(value != stepped))
    result[leaves] = value
    notes.saturated += int(np.count_nonzero(leaves))
    return result
