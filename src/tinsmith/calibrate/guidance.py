"""What the calibration samples are good for: outliers, repetitions, and whether there are enough of them.

All of it follows from what calibration records of each sample anyway (`tinsmith.calibrate.per_sample`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, log10
from statistics import median

import numpy as np

from tinsmith.calibrate.exponents import METHODS, choose_exponent, error_of
from tinsmith.calibrate.per_sample import Share, error_of_shares, least_error_exponent, watched
from tinsmith.calibrate.stats import Stats
from tinsmith.ops.floatnode import Array

FAR = 2.5
"""An outlier reaches at least so many times as far as all other samples: it costs the range a bit and more."""
FARTHER = 4.0
"""The same where there are several."""
FEW = 10
"""Outliers are at most one sample in so many; more of them are no outliers."""
LEAST_FOR_OUTLIERS = 16
"""With fewer samples nobody can tell what is usual."""
LEAST_FOR_HALVES = 4
LEAST_FOR_NOTES = 8
"""With fewer samples there is nothing to note but that they are few."""
WATCHED = 4
"""A value is judged by its halves where at least so many exponents were watched for all samples."""
COSTLY = 1.25
"""A half's exponent is another one if it makes the error over all samples so many times as large: 1 dB."""
MANY = 0.1
"""Samples are too few where more than this share of the values take another exponent from half of them. Of nine
networks that were looked at, five exceed it with 8 samples; with 64 one does, whose samples are not of its own kind."""

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class SampleNote:
    """What is known of one sample.

    Attributes:
        name: What messages call it: its number or its file.
        digest: Of its arrays: equal for equal samples.
        constant: Whether each of its arrays of several elements holds one number only.
    """

    name: str
    digest: bytes
    constant: bool

    @classmethod
    def of(cls, name: str, sample: Mapping[str, Array]) -> SampleNote:
        """Of a sample's arrays by input name."""
        digest = hashlib.sha256()
        for array in sample.values():
            digest.update(np.ascontiguousarray(array).data)
        several = [array for array in sample.values() if array.size > 1]
        constant = bool(several) and all(bool(np.all(array == array.flat[0])) for array in several)
        return cls(name, digest.digest(), constant)


@dataclass(frozen=True, slots=True)
class Outlier:
    """A sample that alone, or with very few others, extends ranges.

    Attributes:
        sample: What messages call it.
        factors: By value, largest first: how many times as far as all usual samples it reaches there.
    """

    sample: str
    factors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Unstable:
    """A value that would take another exponent from half of the samples.

    Attributes:
        value: Its name.
        exponent: The one of least error over all samples.
        halves: Those over every other sample, from the first and from the second; None where all are zero.
        cost: How many times as large the error over all samples is with the worse of these; infinite where a half knows
            nothing of the larger elements of the other.
    """

    value: str
    exponent: int
    halves: tuple[int | None, int | None]
    cost: float


@dataclass(frozen=True, slots=True)
class Methods:
    """What the methods of calibration choose for one value by itself.

    Attributes:
        value: Its name.
        layer: The layer that computes it; empty for inputs.
        minimum: Smallest element seen.
        maximum: Largest element seen.
        exponents: By method.
        decibels: By method: how much larger the squared error is than with `mse`.
    """

    value: str
    layer: str
    minimum: float
    maximum: float
    exponents: Mapping[str, int]
    decibels: Mapping[str, float]


def methods_compared(stats: Stats, layers: Mapping[str, str], percentile: float) -> tuple[Methods, ...]:
    """What each method would choose for each value, in the narrowest of the widths observed.

    Args:
        stats: With histograms.
        layers: By value: the layer that computes it.
        percentile: For the method of that name.
    """
    found = []
    for name, seen in stats.items():
        bits = min(seen.candidates)
        chosen = {method: choose_exponent(seen, bits, method, percentile=percentile) for method in METHODS}
        errors = {method: error_of(seen, exponent, bits) for method, exponent in chosen.items()}
        worse = {method: _decibels(error, errors["mse"]) for method, error in errors.items()}
        found.append(Methods(name, layers.get(name, ""), seen.minimum, seen.maximum, chosen, worse))
    return tuple(found)


def _decibels(error: float, least: float) -> float:
    if error == least:
        return 0.0
    return 10 * log10(error / least) if least > 0 else inf


@dataclass(frozen=True, slots=True)
class Guidance:
    """What is known of the calibration samples.

    Attributes:
        samples: How many there are.
        watched: How many of the first ones were looked at one by one.
        outliers: Those that extend the most ranges first.
        repeated: Samples that are equal to an earlier one, each with that one.
        constant: Samples that hold one number only, where others do not.
        values: How many values have an exponent to choose.
        unstable: Those that take another one from half of the samples, outliers left out, costliest first; by least
            squared error, whatever the method.
        methods: What the methods would choose, value by value, where that was asked for.
    """

    samples: int
    watched: int
    outliers: tuple[Outlier, ...] = ()
    repeated: tuple[tuple[str, str], ...] = ()
    constant: tuple[str, ...] = ()
    values: int = 0
    unstable: tuple[Unstable, ...] = ()
    methods: tuple[Methods, ...] = ()

    @property
    def stable(self) -> bool | None:
        """Whether there are samples enough; None where there are too few to tell."""
        if self.watched < LEAST_FOR_HALVES:
            return None
        return len(self.unstable) <= MANY * self.values

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know, a sentence each; nothing where all is well, or where there are too few to tell."""
        if self.watched < LEAST_FOR_NOTES:
            return ()
        return (*self._of_outliers(), *self._of_size(), *self._of_repetitions())

    def _of_outliers(self) -> list[str]:
        lines = []
        for outlier in self.outliers[:_SHOWN]:
            value, factor = next(iter(outlier.factors.items()))
            more = f" and {len(outlier.factors) - 1} more" if len(outlier.factors) > 1 else ""
            lines.append(
                f"calibration: {outlier.sample} reaches {factor:.1f} times as far as the others at {value!r}{more}: "
                "is it a sample like them?"
            )
        rest = len(self.outliers) - _SHOWN
        return [*lines, f"calibration: {rest} more samples like that."] if rest > 0 else lines

    def _of_size(self) -> list[str]:
        if self.stable is not False:
            return []
        return [
            f"calibration: {len(self.unstable)} of {self.values} values would take another exponent from half of the "
            f"{self.watched} samples: add samples."
        ]

    def _of_repetitions(self) -> list[str]:
        lines = []
        if len(self.repeated) > MANY * self.watched:
            sample, earlier = self.repeated[0]
            count = f"{len(self.repeated)} samples are" if len(self.repeated) > 1 else "one sample is"
            lines.append(f"calibration: {count} there twice, {sample} as {earlier}.")
        if self.constant:
            count = f"{len(self.constant)} samples hold" if len(self.constant) > 1 else "one sample holds"
            lines.append(f"calibration: {count} one number only, {self.constant[0]}.")
        return lines


def guidance(count: int, samples: Sequence[SampleNote], shares: Mapping[str, Sequence[Share]], bits: int) -> Guidance:
    """What can be said of calibration samples.

    Args:
        count: How many there are.
        samples: The first ones.
        shares: By value: what each of these contributed.
        bits: The width exponents are judged for.
    """
    seen = {name: found for name, found in shares.items() if any(share.largest > 0 for share in found)}
    constant = tuple(sample.name for sample in samples if sample.constant)
    outliers = _outliers(seen)
    usual = {name: [share for index, share in enumerate(of) if index not in outliers] for name, of in seen.items()}
    unstable = [found for name, of_value in usual.items() if (found := _unstable(name, of_value, bits)) is not None]
    return Guidance(
        count,
        len(samples),
        tuple(Outlier(samples[index].name, factors) for index, factors in outliers.items()),
        _repeated(samples),
        constant if len(constant) < len(samples) else (),
        len(seen),
        tuple(sorted(unstable, key=lambda found: -found.cost)),
    )


def _outliers(shares: Mapping[str, Sequence[Share]]) -> dict[int, dict[str, float]]:
    """By sample: the values at which it is far out, furthest first; samples with the most of these first."""
    found: dict[int, dict[str, float]] = {}
    for value, of_value in shares.items():
        for index, factor in far_out([share.largest for share in of_value]).items():
            found.setdefault(index, {})[value] = factor
    ordered = {index: dict(sorted(factors.items(), key=lambda item: -item[1])) for index, factors in found.items()}
    return dict(sorted(ordered.items(), key=lambda item: -len(item[1])))


def far_out(largest: Sequence[float]) -> dict[int, float]:
    """The samples that reach far beyond all others, with how many times as far.

    Args:
        largest: The largest magnitude of each sample.

    Returns:
        By index; empty where there is no gap of a factor `FAR` below the largest or of `FARTHER` below the few largest,
        where the usual sample is zero, or where there are too few samples to tell.
    """
    if len(largest) < LEAST_FOR_OUTLIERS or median(largest) == 0:
        return {}
    order = sorted(range(len(largest)), key=lambda index: -largest[index])
    gaps = [
        count
        for count in range(1, len(largest) // FEW + 1)
        if largest[order[count - 1]] >= (FAR if count == 1 else FARTHER) * largest[order[count]]
    ]
    if not gaps:
        return {}
    usual = largest[order[gaps[-1]]]
    return {index: largest[index] / usual for index in order[: gaps[-1]]}


def _repeated(samples: Sequence[SampleNote]) -> tuple[tuple[str, str], ...]:
    first: dict[bytes, str] = {}
    found = []
    for sample in samples:
        earlier = first.setdefault(sample.digest, sample.name)
        if earlier != sample.name:
            found.append((sample.name, earlier))
    return tuple(found)


def _unstable(name: str, shares: Sequence[Share], bits: int) -> Unstable | None:
    whole = least_error_exponent(shares, bits)
    if whole is None or len(shares) < LEAST_FOR_HALVES or len(watched(shares, bits)) < WATCHED:
        return None
    halves = least_error_exponent(shares[::2], bits), least_error_exponent(shares[1::2], bits)
    others = [half for half in halves if half is not None and half != whole]
    least = error_of_shares(shares, whole, bits)
    worst = max((error_of_shares(shares, half, bits) for half in others), default=least)
    cost = worst / least if least > 0 else inf if worst > 0 else 1.0
    return Unstable(name, whole, halves, float(cost)) if cost >= COSTLY else None
