"""What single samples contributed to the observations: enough to see what some of them alone would have given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from tinsmith.calibrate.candidates import BELOW, fit_exponent
from tinsmith.calibrate.stats import Candidates
from tinsmith.calibrate.tally import coarser_error

RECORDED = 256
"""So many samples are recorded one by one; memory does not grow beyond."""


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """One sample's share of what was observed of a value.

    Attributes:
        minimum: Smallest element.
        maximum: Largest element.
        nonzero: Elements other than zero (an estimate where elements were sampled).
        square_sum: Σ x² (likewise).
        candidates: Squared errors by width, at the exponents watched when the sample came.
    """

    minimum: float
    maximum: float
    nonzero: float
    square_sum: float
    candidates: Mapping[int, Candidates]

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return max(self.maximum, -self.minimum)


def watched(shares: Sequence[Share], bits: int) -> range:
    """The exponents that may be best for some samples and were watched for all of them, coarsest first.

    Args:
        shares: Of one value.
        bits: One of the widths observed.

    Returns:
        From the one that fits downwards. Samples that came after a much larger one were not watched at the finest
        exponents; nothing is left where none was, or where all samples are zero.
    """
    alive = [share for share in shares if share.largest > 0]
    if not alive:
        return range(0)
    fit = fit_exponent(min(share.minimum for share in alive), max(share.maximum for share in alive), bits)
    first = max(fit - BELOW[bits], *(share.candidates[bits].first for share in alive))
    return range(fit, first - 1, -1)


def least_error_exponent(shares: Sequence[Share], bits: int) -> int | None:
    """The exponent of least squared error for some samples: what `mse` would choose from them alone.

    Args:
        shares: Of one value.
        bits: One of the widths observed.

    Returns:
        None where none was watched.
    """
    return min(watched(shares, bits), key=lambda exponent: error_of_shares(shares, exponent, bits), default=None)


def error_of_shares(shares: Sequence[Share], exponent: int, bits: int) -> float:
    """The squared error of some samples at an exponent; infinite where it is finer than any that was watched.

    Args:
        shares: Of one value.
        exponent: The exponent.
        bits: One of the widths observed.
    """
    alive = [share for share in shares if share.largest > 0]
    if any(exponent < share.candidates[bits].first for share in alive):
        return inf
    return sum(_error(share, exponent, bits) for share in alive)


def _error(share: Share, exponent: int, bits: int) -> float:
    seen = share.candidates[bits]
    index = exponent - seen.first
    if index < len(seen.errors):
        return seen.errors[index]
    return coarser_error(seen.errors[-1], exponent, share.nonzero, share.square_sum)
