"""One value's running observations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.calibrate.candidates import fit_exponent
from tinsmith.calibrate.per_sample import Share
from tinsmith.calibrate.stats import Channels, ValueStats
from tinsmith.calibrate.strata import DENSE, Strata, everything, strata
from tinsmith.calibrate.tally import ErrorTally, HistogramTally
from tinsmith.errors import DataError
from tinsmith.quant.rounding import FloatArray, Rounding

_MAX_CHANNELS = 8192


class ValueObserver:
    """Sees the same value of one sample after another.

    Args:
        name: The value.
        rounding: The target's rounding (used by the definition; the quick form does not depend on it).
        bits: Widths whose candidates to weigh.
        histograms: Also count magnitudes.
        exact: Every element by the definition of the error, in place of sampled ones.
        recorded: How many of the first samples to record one by one.
    """

    def __init__(
        self,
        name: str,
        rounding: Rounding,
        bits: Sequence[int],
        histograms: bool,
        exact: bool,
        recorded: int = 0,
    ) -> None:
        self._name = name
        self._exact = exact
        self._recorded = recorded
        self.shares: list[Share] = []
        self._tallies = {width: ErrorTally(width, rounding, exact) for width in bits}
        self._histogram = HistogramTally() if histograms else None
        self._channels: _ChannelTally | None = None
        self._fits: dict[int, int] = {}
        self._samples = self._count = 0
        self._minimum, self._maximum = np.inf, -np.inf
        self._sum = self._nonzero = self._square_sum = 0.0

    def update(self, array: FloatArray) -> None:
        """Count one sample.

        Args:
            array: float32, C-contiguous.

        Raises:
            DataError: It holds NaN or an infinity.
        """
        if array.size:
            split = _has_channels(array)
            rows = array.reshape(array.shape[1] if split else 1, -1)
            low, high = _extremes(rows)
            sums = rows.sum(axis=1, dtype=np.float64) if self._exact else np.einsum("ij->i", rows).astype(np.float64)
            smallest, largest = float(low.min()), float(high.max())
            self._widen(smallest, largest)
            self._sum += float(sums.sum())
            if split:
                self._channels = self._channels or _ChannelTally(len(rows))
                self._channels.add(low, high, sums, rows.shape[1])
            self._weigh(array.reshape(-1), smallest, largest)
        self._samples += 1
        self._count += array.size

    def _widen(self, low: float, high: float) -> None:
        if not (np.isfinite(low) and np.isfinite(high)):
            raise DataError(
                f"the network itself computes NaN or infinity at {self._name!r}.",
                subject=f"sample {self._samples}",
                hint="Check the scaling of the data, and the float model on this sample.",
            )
        if low < self._minimum or high > self._maximum:
            self._minimum = min(self._minimum, low)
            self._maximum = max(self._maximum, high)
            self._fits = {bits: fit_exponent(self._minimum, self._maximum, bits) for bits in self._tallies}

    def _weigh(self, flat: FloatArray, low: float, high: float) -> None:
        if self._histogram is not None:
            dense = everything(flat) if self._exact else strata(flat, low, high, self._samples, DENSE)
            self._histogram.add(dense, max(self._maximum, -self._minimum))
        if low == high == 0:
            self._record(Share(low, high, 0.0, 0.0, {}))
            return
        elements = everything(flat) if self._exact else strata(flat, low, high, self._samples)
        added = {
            bits: tally.add(elements, self._fits[bits], self._nonzero, self._square_sum)
            for bits, tally in self._tallies.items()
        }
        nonzero = float(sum(weight * np.count_nonzero(values) for values, weight in elements))
        square_sum = _square_sum(elements)
        self._record(Share(low, high, nonzero, square_sum, added))
        self._nonzero += nonzero
        self._square_sum += square_sum

    def _record(self, share: Share) -> None:
        if len(self.shares) < self._recorded:
            self.shares.append(share)

    def result(self) -> ValueStats:
        """What was observed so far."""
        low, high = (self._minimum, self._maximum) if self._count else (0.0, 0.0)
        return ValueStats(
            samples=self._samples,
            count=self._count,
            minimum=low,
            maximum=high,
            mean=self._sum / max(self._count, 1),
            nonzero=self._nonzero,
            square_sum=self._square_sum,
            candidates={bits: tally.result(fit_exponent(low, high, bits)) for bits, tally in self._tallies.items()},
            channels=None if self._channels is None else self._channels.result(),
            histogram=None if self._histogram is None else self._histogram.result(),
        )


class _ChannelTally:
    def __init__(self, channels: int) -> None:
        self._minimum = np.full(channels, np.inf)
        self._maximum = np.full(channels, -np.inf)
        self._sum = np.zeros(channels)
        self._count = 0

    def add(self, low: FloatArray, high: FloatArray, sums: FloatArray, count: int) -> None:
        np.minimum(self._minimum, low, out=self._minimum)
        np.maximum(self._maximum, high, out=self._maximum)
        self._sum += sums
        self._count += count

    def result(self) -> Channels:
        return Channels(self._minimum.copy(), self._maximum.copy(), self._sum / self._count)


def _extremes(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Smallest and largest of each row; ``reduceat`` wastes less on short rows than a reduction along an axis."""
    flat, starts = rows.reshape(-1), np.arange(0, rows.size, rows.shape[1])
    return np.minimum.reduceat(flat, starts), np.maximum.reduceat(flat, starts)


def _has_channels(array: FloatArray) -> bool:
    """Whether axis 1 can be observed channel by channel without walking over many short rows."""
    return array.ndim >= 2 and array.shape[0] == 1 and 1 <= array.shape[1] <= _MAX_CHANNELS


def _square_sum(elements: Strata) -> float:
    return sum(weight * float(np.einsum("i,i->", v, v, dtype=np.float64)) for v, weight in elements)
