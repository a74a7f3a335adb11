"""What was observed of a tensor: frozen values, ready to choose an exponent from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from tinsmith.calibrate.candidates import fit_exponent
from tinsmith.quant.rounding import FloatArray


@dataclass(frozen=True, slots=True)
class Candidates:
    """Total squared errors at consecutive exponents.

    Attributes:
        first: The finest exponent.
        errors: Σ (x - q(x)·2**e)² over all elements seen, for e = first, first + 1, …
    """

    first: int
    errors: tuple[float, ...]

    @property
    def exponents(self) -> range:
        """The exponents, finest first."""
        return range(self.first, self.first + len(self.errors))


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """What was observed along axis 1 (or the axis of a constant): float64 arrays of shape (channels,)."""

    minimum: FloatArray
    maximum: FloatArray
    mean: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Magnitudes other than zero in bins of width ``2**exponent`` starting at zero.

    Attributes:
        exponent: Bin width, as a power of two; it doubles when a magnitude beyond the last bin arrives, which merges
            pairs of bins exactly.
        counts: float64, (bins,). Not whole numbers where elements were sampled.
        zeros: Elements that are exactly zero: every exponent holds them without error.
    """

    exponent: int
    counts: FloatArray
    zeros: float

    def quantile(self, share: float) -> float:
        """The magnitude below which ``share`` (0…1) of all elements lie, zeros included: the upper edge of its bin."""
        below = self.zeros + np.cumsum(self.counts)
        if below[-1] <= 0 or self.zeros >= share * below[-1]:
            return 0.0
        # Counts estimated from samples add up to the total only within float64's rounding.
        index = min(int(np.searchsorted(below, share * below[-1] * (1 - 1e-12))), len(self.counts) - 1)
        return float(np.ldexp(index + 1.0, self.exponent))


@dataclass(frozen=True, slots=True, eq=False)
class ValueStats:
    """What was observed of one value (or constant).

    Attributes:
        samples: Samples seen (1 for a constant).
        count: Elements seen, all samples together.
        minimum: Smallest element.
        maximum: Largest element.
        mean: Mean of all elements.
        nonzero: Elements other than zero (an estimate where elements were sampled).
        square_sum: Σ x² (likewise).
        candidates: Squared errors by width in bits.
        channels: Along axis 1, where that was cheap to observe.
        histogram: Where it was asked for.
    """

    samples: int
    count: int
    minimum: float
    maximum: float
    mean: float
    nonzero: float
    square_sum: float
    candidates: Mapping[int, Candidates]
    channels: Channels | None = None
    histogram: Histogram | None = None

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return max(self.maximum, -self.minimum)

    def fit(self, bits: int) -> int:
        """The smallest exponent at which no element saturates by more than half a step."""
        return fit_exponent(self.minimum, self.maximum, bits)


@dataclass(frozen=True, slots=True, eq=False)
class Stats(Mapping[str, ValueStats]):
    """What one pass over the data observed, by value name.

    Attributes:
        by_name: The observations.
        samples: How many samples were seen.
        digest: SHA-256 (hex) over the names, shapes and bytes of all samples, in order.
    """

    by_name: Mapping[str, ValueStats] = field(default_factory=dict)
    samples: int = 0
    digest: str = ""

    def __getitem__(self, name: str) -> ValueStats:
        return self.by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name)

    def __len__(self) -> int:
        return len(self.by_name)
