"""Weights and other constants: the same observations as for values, of every element, by the definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from tinsmith.calibrate.candidates import BELOW, fit_exponent, fit_exponents, squared_error, window
from tinsmith.calibrate.stats import Candidates, Channels, Histogram, ValueStats
from tinsmith.calibrate.strata import everything
from tinsmith.calibrate.tally import HistogramTally
from tinsmith.errors import ModelError, RecipeError
from tinsmith.quant.rounding import FloatArray, Rounding


@dataclass(frozen=True, slots=True, eq=False)
class ChannelStats:
    """What was observed of a constant along one axis.

    Attributes:
        axis: The axis, not negative.
        count: Elements per channel.
        channels: Extremes and means.
        square_sum: Σ x², (channels,).
        errors: By width: squared errors, (channels, candidates); the last column is at the fitting exponent of the
            channel, each one before it one exponent finer.
    """

    axis: int
    count: int
    channels: Channels
    square_sum: FloatArray
    errors: Mapping[int, FloatArray]

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Which channels are all zero."""
        result: NDArray[np.bool_] = (self.channels.minimum == 0) & (self.channels.maximum == 0)
        return result

    def fit(self, bits: int) -> NDArray[np.int64]:
        """Each channel's smallest exponent at which nothing saturates by more than half a step."""
        return fit_exponents(self.channels.minimum, self.channels.maximum, bits)


@overload
def constant_stats(
    array: FloatArray, rounding: Rounding, axis: None = None, *, bits: Sequence[int] = (8, 16), histograms: bool = False
) -> ValueStats: ...


@overload
def constant_stats(
    array: FloatArray, rounding: Rounding, axis: int, *, bits: Sequence[int] = (8, 16), histograms: bool = False
) -> ChannelStats: ...


def constant_stats(
    array: FloatArray,
    rounding: Rounding,
    axis: int | None = None,
    *,
    bits: Sequence[int] = (8, 16),
    histograms: bool = False,
) -> ValueStats | ChannelStats:
    """Observe a constant.

    Args:
        array: Float, any shape.
        rounding: The target's.
        axis: The channel axis; None for the tensor as a whole.
        bits: Widths whose candidate errors are wanted.
        histograms: Also count magnitudes (whole tensors only).

    Raises:
        ModelError: It holds NaN or an infinity, or nothing at all.
    """
    values = np.asarray(array, dtype=np.float32)
    if not values.size or not np.isfinite(values).all():
        raise ModelError("holds NaN or infinity." if values.size else "is empty.", subject="constant")
    if axis is None:
        return _whole(values.reshape(-1), rounding, bits, histograms)
    place = axis % values.ndim
    rows = np.moveaxis(values, place, 0).reshape(values.shape[place], -1)
    return _by_channel(rows, place, rounding, bits)


def _whole(values: FloatArray, rounding: Rounding, bits: Sequence[int], histograms: bool) -> ValueStats:
    low, high = float(values.min()), float(values.max())
    candidates = {}
    for width in bits:
        exponents = window(fit_exponent(low, high, width), width)
        errors = tuple(squared_error(values, exponent, width, rounding) for exponent in exponents)
        candidates[width] = Candidates(exponents.start, errors)
    return ValueStats(
        samples=1,
        count=values.size,
        minimum=low,
        maximum=high,
        mean=float(values.mean(dtype=np.float64)),
        nonzero=float(np.count_nonzero(values)),
        square_sum=float(np.einsum("i,i->", values, values, dtype=np.float64)),
        candidates=candidates,
        histogram=_histogram(values, max(high, -low)) if histograms else None,
    )


def _histogram(values: FloatArray, largest: float) -> Histogram:
    tally = HistogramTally()
    tally.add(everything(values), largest)
    return tally.result()


def _by_channel(rows: FloatArray, axis: int, rounding: Rounding, bits: Sequence[int]) -> ChannelStats:
    low, high = rows.min(axis=1).astype(np.float64), rows.max(axis=1).astype(np.float64)
    errors = {}
    for width in bits:
        fit = fit_exponents(low, high, width)
        columns = [_row_errors(rows, fit - below, width, rounding) for below in range(BELOW[width], -1, -1)]
        errors[width] = np.stack(columns, axis=1)
    return ChannelStats(
        axis=axis,
        count=rows.shape[1],
        channels=Channels(low, high, rows.mean(axis=1, dtype=np.float64)),
        square_sum=np.einsum("ij,ij->i", rows, rows, dtype=np.float64),
        errors=errors,
    )


def _row_errors(rows: FloatArray, exponents: NDArray[np.int64], bits: int, rounding: Rounding) -> FloatArray:
    column = exponents[:, None]
    integers = rounding.quantize(rows, column, bits)
    difference = rows.astype(np.float64) - np.ldexp(integers.astype(np.float64), column.astype(np.int32))
    result: FloatArray = np.einsum("ij,ij->i", difference, difference)
    return result


def choose_exponents(stats: ChannelStats, bits: int, method: str = "mse") -> NDArray[np.int64]:
    """One exponent per channel; an all-zero channel takes that of its nearest living neighbour.

    Args:
        stats: Observed along the channel axis.
        bits: 8 or 16.
        method: ``minmax`` or ``mse`` (of equal errors the coarsest).

    Returns:
        int64 (channels,).

    Raises:
        RecipeError: Another method.
    """
    if method not in ("minmax", "mse"):
        raise RecipeError(f"cannot choose exponents per channel by {method!r}.", hint="Choose minmax or mse.")
    exponents = stats.fit(bits)
    if method == "mse":
        exponents = exponents - np.argmin(stats.errors[bits][:, ::-1], axis=1)
    return fill_dead(exponents, stats.dead, bits)


def fill_dead(exponents: NDArray[np.int64], dead: NDArray[np.bool_], bits: int) -> NDArray[np.int64]:
    """Exponents with those of dead channels taken from the nearest living one (the lower of two equally near).

    Where no channel lives: ``-(bits - 1)``, the range [-1, 1).
    """
    alive = np.flatnonzero(~dead)
    if not len(alive):
        return np.full(len(exponents), 1 - bits, dtype=np.int64)
    places = np.arange(len(exponents))
    above = np.searchsorted(alive, places).clip(max=len(alive) - 1)
    below = (above - 1).clip(min=0)
    nearer_above = np.abs(alive[above] - places) < np.abs(alive[below] - places)
    result: NDArray[np.int64] = exponents[np.where(nearer_above, alive[above], alive[below])]
    return result
