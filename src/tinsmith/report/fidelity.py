"""How close one output stays to the float model's, over many samples."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log10, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Fidelity:
    """An output of the chip beside the float model's, over all elements of all samples.

    Attributes:
        snr_db: Signal to noise ratio in dB, 10·log10(Σ float² / Σ (chip - float)²); infinite where they are equal.
        cosine: Cosine of the angle between them.
        mse: Mean squared difference.
        max_abs: Largest absolute difference.
    """

    snr_db: float
    cosine: float
    mse: float
    max_abs: float


@dataclass(slots=True)
class Sums:
    """Running sums behind a `Fidelity`, in float64."""

    count: int = 0
    signal: float = 0.0
    chip: float = 0.0
    product: float = 0.0
    noise: float = 0.0
    largest: float = 0.0

    def add(self, chip: Array, reference: Array) -> None:
        """Take in one sample: two arrays of one shape."""
        ours, theirs = chip.astype(np.float64).ravel(), reference.astype(np.float64).ravel()
        difference = ours - theirs
        self.count += ours.size
        self.signal += float(theirs @ theirs)
        self.chip += float(ours @ ours)
        self.product += float(ours @ theirs)
        self.noise += float(difference @ difference)
        self.largest = float(np.maximum(self.largest, np.abs(difference).max(initial=0.0)))

    def merge(self, other: Sums) -> None:
        """Take in what another has taken in."""
        self.count += other.count
        self.signal += other.signal
        self.chip += other.chip
        self.product += other.product
        self.noise += other.noise
        self.largest = float(np.maximum(self.largest, other.largest))

    @property
    def ratio(self) -> float:
        """Noise power over signal power: Σ (chip - float)² / Σ float²; infinite where there is noise without signal."""
        if self.noise == 0:
            return 0.0
        return self.noise / self.signal if self.signal > 0 else inf

    def result(self) -> Fidelity:
        """The figures so far."""
        return Fidelity(self._snr(), self._cosine(), self.noise / max(self.count, 1), self.largest)

    def _snr(self) -> float:
        if self.noise == 0:
            return inf
        return 10 * log10(self.signal / self.noise) if self.signal > 0 else -inf

    def _cosine(self) -> float:
        norms = sqrt(self.signal) * sqrt(self.chip)
        if norms == 0:
            return 1.0 if self.signal == self.chip else 0.0
        return self.product / norms
