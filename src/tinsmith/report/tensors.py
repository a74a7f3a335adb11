"""What tensors hold beside what their formats can hold, gathered sample by sample.

Everything is a sum or an extreme, so that one pass is enough: bins are as wide as a power of two, and two become one
where a sample reaches farther than those before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, log2
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array
from tinsmith.ops.passage import Weighted
from tinsmith.quant.format import Format
from tinsmith.quant.rounding import qrange
from tinsmith.report.beside import Pair
from tinsmith.report.insight.schema import Histogram
from tinsmith.report.layer_error import layers

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

BINS = 64
"""Most of a histogram; at least half as many where a tensor holds more than one number."""
_FINEST = -140
_OCTAVES = 320
_INDEX_BITS = 24
_ZERO = 160
"""Index of the octave from 1/2 to 1."""

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the analysed samples hold in one tensor.

    Attributes:
        lowest, highest: Of the float network's elements.
        largest: Largest magnitude of each channel, of those looked at.
        clipped: Share of the elements that the format cannot hold.
        shift: Mean error of each channel: chip - float.
        shifted: Share of the noise that is this mean, 0 to 1: what a constant per channel could take away. Of few
            elements the mean is never zero; what chance alone would make of it is left out.
        octaves: Elements by magnitude: index 160 counts those from 1/2 to 1, 161 from 1 to 2. Zeros are left out.
        count: All elements.
    """

    lowest: float
    highest: float
    largest: Reals
    clipped: float
    shift: Reals
    shifted: float
    octaves: Ints
    count: int

    def reach(self, beyond: float = 0.0) -> float:
        """A power of two that all magnitudes are below, but for at most this share of the elements."""
        left = np.cumsum(self.octaves[::-1])[::-1]
        over = np.flatnonzero(left > beyond * self.count)
        return float(np.ldexp(1.0, int(over[-1]) - _ZERO)) if over.size else 0.0


def together(parts: Sequence[Seen]) -> Seen:
    """What was seen of several tensors as if they were one: channels one after the other."""
    if len(parts) == 1:
        return parts[0]
    count = sum(part.count for part in parts)
    return Seen(
        min(part.lowest for part in parts),
        max(part.highest for part in parts),
        np.concatenate([part.largest for part in parts]),
        sum(part.clipped * part.count for part in parts) / count,
        np.concatenate([part.shift for part in parts]),
        max(part.shifted for part in parts),
        np.sum([part.octaves for part in parts], axis=0),
        count,
    )


class TensorStatistics:
    """Gathers what the outputs of layers hold, and the network's inputs.

    Args:
        quantized: The network that is analysed.
    """

    def __init__(self, quantized: Quantized) -> None:
        self._formats = quantized.formats.values
        self._axes = _channel_axes(quantized)
        self._gathered: dict[str, _Gathered] = {}
        self._lock = Lock()

    def look(self, pairs: Mapping[str, Pair]) -> None:
        """Take in one sample; several threads may do so at once.

        Args:
            pairs: By value name, as `tinsmith.report.graphwise.graphwise` shows them.
        """
        for name, pair in pairs.items():
            chosen = self._formats.get(name)
            if chosen is None or pair.chip.dtype.kind != "i" or not pair.real.size:
                continue
            if not np.isfinite(pair.real).all():
                continue
            found = _of_sample(pair, chosen, self._axes.get(name, 1))
            with self._lock:
                if name in self._gathered:
                    found = self._gathered[name].merged(found)
                self._gathered[name] = found

    def reach(self, extremes: Mapping[str, tuple[Reals, Reals]]) -> None:
        """Take in how far values reach of which `look` was shown a part.

        Args:
            extremes: Of `tinsmith.report.extremes.extremes`.
        """
        for name, (lows, highs) in extremes.items():
            if name in self._gathered:
                self._gathered[name] = self._gathered[name].reaching(lows, highs, self._formats[name])

    def of(self, name: str) -> Seen | None:
        """What was seen of one value; None where it was not looked at."""
        found = self._gathered.get(name)
        return None if found is None else found.seen()

    def axis(self, name: str) -> int:
        """The axis of a value's channels, ONNX order."""
        return self._axes.get(name, 1)

    def histograms(self) -> dict[str, Histogram]:
        """By value name: the histograms of all integer values that were seen."""
        return {name: found.histogram(name, self._formats[name]) for name, found in self._gathered.items()}


def unused_bits(chosen: Format, lowest: float, highest: float) -> float:
    """How many bits finer a step could be for numbers in a range; negative where the format does not hold them."""
    low, high = _limits(chosen)
    share = max(lowest / low, highest / high)
    return -log2(share) if share > 0 else float(chosen.bits)


@dataclass(frozen=True, slots=True, eq=False)
class _Bins:
    """Counts of elements in ``[index, index + 1) · 2**exponent`` for consecutive indices from ``first`` on."""

    exponent: int
    first: int
    counts: Ints

    @classmethod
    def of(cls, values: NDArray[np.float32], lowest: float, highest: float, step: int) -> _Bins:
        if highest > lowest:
            exponent = max(ceil(log2((highest - lowest) / (BINS - 1))), _FINEST)
        else:
            exponent = max(step, int(np.frexp(highest)[1]) - _INDEX_BITS)
        indices = np.floor(np.ldexp(values, -exponent)).astype(np.int64)
        first = int(indices.min())
        return cls(exponent, first, np.bincount(indices - first))

    def merged(self, other: _Bins) -> _Bins:
        ours, theirs = self, other
        while True:
            exponent = max(ours.exponent, theirs.exponent)
            ours, theirs = ours.coarser(exponent), theirs.coarser(exponent)
            first = min(ours.first, theirs.first)
            end = max(ours.first + len(ours.counts), theirs.first + len(theirs.counts))
            if end - first <= BINS:
                break
            ours = ours.coarser(exponent + 1)
        counts = np.zeros(end - first, np.int64)
        for part in (ours, theirs):
            counts[part.first - first : part.first - first + len(part.counts)] += part.counts
        return _Bins(exponent, first, counts)

    def coarser(self, exponent: int) -> _Bins:
        """The same in wider bins."""
        if exponent == self.exponent:
            return self
        indices = np.arange(self.first, self.first + len(self.counts)) >> (exponent - self.exponent)
        counts = np.zeros(int(indices[-1] - indices[0]) + 1, np.int64)
        np.add.at(counts, indices - indices[0], self.counts)
        return _Bins(exponent, int(indices[0]), counts)


@dataclass(frozen=True, slots=True, eq=False)
class _Gathered:
    """Sums and extremes; arrays are of (channels,)."""

    count: int
    lowest: float
    highest: float
    clipped: int
    bins: _Bins
    octaves: Ints
    largest: Reals
    each: int
    error: Reals
    squares: Reals

    def merged(self, other: _Gathered) -> _Gathered:
        return _Gathered(
            self.count + other.count,
            min(self.lowest, other.lowest),
            max(self.highest, other.highest),
            self.clipped + other.clipped,
            self.bins.merged(other.bins),
            self.octaves + other.octaves,
            np.maximum(self.largest, other.largest),
            self.each + other.each,
            self.error + other.error,
            self.squares + other.squares,
        )

    def reaching(self, lows: Reals, highs: Reals, chosen: Format) -> _Gathered:
        """The same with extremes that are known besides; one element stands for each that is beyond those seen."""
        ends = float(lows.min()), float(highs.max())
        new = np.array([end for end in ends if not self.lowest <= end <= self.highest], np.float32)
        largest = np.maximum(np.abs(lows), np.abs(highs))
        if not new.size:
            return replace(self, largest=largest)
        return replace(
            self,
            lowest=min(self.lowest, ends[0]),
            highest=max(self.highest, ends[1]),
            clipped=max(self.clipped, _beyond(new, chosen)),
            bins=self.bins.merged(_Bins.of(new, float(new.min()), float(new.max()), chosen.exponent)),
            octaves=self.octaves + np.bincount(_octaves(np.abs(new)), minlength=_OCTAVES),
            largest=largest,
        )

    def seen(self) -> Seen:
        mean = self.error / self.each
        chance = np.maximum(self.squares - self.each * mean**2, 0.0) / max(self.each - 1, 1)
        constant = float(np.maximum(self.each * mean**2 - chance, 0.0).sum())
        noise = float(self.squares.sum())
        shifted = constant / noise if noise > 0 and self.each > 1 else 0.0
        return Seen(
            self.lowest,
            self.highest,
            self.largest,
            self.clipped / self.count,
            mean,
            shifted,
            self.octaves,
            self.count,
        )

    def histogram(self, name: str, chosen: Format) -> Histogram:
        low, high = _limits(chosen)
        return Histogram(
            tensor=name,
            bits=chosen.bits,
            exponent=chosen.exponent,
            lowest=low,
            highest=high,
            seen_lowest=self.lowest,
            seen_highest=self.highest,
            clipped=self.clipped / self.count,
            unused_bits=unused_bits(chosen, self.lowest, self.highest),
            start=float(np.ldexp(float(self.bins.first), self.bins.exponent)),
            width=float(np.ldexp(1.0, self.bins.exponent)),
            counts=tuple(int(count) for count in self.bins.counts),
        )


def _of_sample(pair: Pair, chosen: Format, axis: int) -> _Gathered:
    real = np.asarray(pair.real, np.float32)
    lowest, highest = float(real.min()), float(real.max())
    clipped = _beyond(real, chosen) if _beyond(np.array([lowest, highest]), chosen) else 0
    channels = _by_channel(real, axis)
    error = _by_channel(pair.chip, axis) * np.float32(pair.scale) - channels
    magnitudes = np.abs(channels)
    return _Gathered(
        real.size,
        lowest,
        highest,
        clipped,
        _Bins.of(real.ravel(), lowest, highest, chosen.exponent),
        np.bincount(_octaves(magnitudes), minlength=_OCTAVES),
        magnitudes.max(axis=1).astype(np.float64),
        channels.shape[1],
        error.sum(axis=1, dtype=np.float64),
        np.einsum("ij,ij->i", error, error, dtype=np.float64),
    )


def _beyond(values: NDArray[Any], chosen: Format) -> int:
    """How many are cut off."""
    low, high = _limits(chosen)
    half = float(np.ldexp(0.5, chosen.exponent))
    return int(np.count_nonzero((values < low - half) | (values > high + half)))


def _octaves(magnitudes: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.frexp(magnitudes[magnitudes > 0])[1] + _ZERO)


def _by_channel(array: Array, axis: int) -> NDArray[Any]:
    """(channels, elements)."""
    if array.ndim <= axis or array.ndim < 2:
        return array.reshape(1, -1)
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)


def _limits(chosen: Format) -> tuple[float, float]:
    low, high = qrange(chosen.bits)
    return float(np.ldexp(float(low), chosen.exponent)), float(np.ldexp(float(high), chosen.exponent))


def _channel_axes(quantized: Quantized) -> dict[str, int]:
    """The axis of channels by value, where it is another one than 1."""
    found: dict[str, int] = {}
    for step in layers(quantized):
        passage = operators()[step.node.op_type].passage(step.node)
        for output in step.outputs:
            axis = passage.channels if isinstance(passage, Weighted) else 1
            found[output.name] = axis % max(output.rank, 1)
    return found
