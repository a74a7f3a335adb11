"""Running sums over samples whose range is known only at the end."""

from __future__ import annotations

from math import ldexp

import numpy as np

from tinsmith.calibrate.candidates import BELOW, FINEST, squared_error, squared_errors
from tinsmith.calibrate.stats import Candidates, Histogram
from tinsmith.calibrate.strata import Strata
from tinsmith.quant.rounding import FloatArray, Rounding

SLACK = 3
"""Exponents watched above the one that fits so far."""

_BINS = 2048


def coarser_error(fitting_error: float, exponent: int, nonzero: float, square_sum: float) -> float:
    """Estimated squared error at an exponent coarser than one that fits and whose error is known.

    Uniform rounding noise, 4**e / 12 for each element that is not zero, held between the two bounds that are certain:
    the error at the fitting exponent, whose grid contains the coarser one's, and the error of rounding all to zero.
    """
    return max(fitting_error, min(nonzero * ldexp(1.0, 2 * exponent) / 12.0, square_sum))


class ErrorTally:
    """Squared errors of one width in a window of exponents that moves up with the maximum.

    The first sample opens the window from ``BELOW`` under its fitting exponent to ``SLACK`` above it. A later maximum
    within the slack (eight times the first) costs nothing: all candidates have been counted from the start. Beyond it,
    the earlier samples enter the new exponents by ``coarser_error``: they have no clipping there, and are small beside
    the newcomer.
    """

    def __init__(self, bits: int, rounding: Rounding, exact: bool) -> None:
        self._bits = bits
        self._rounding = rounding
        self._exact = exact
        self._first = 0
        self._sums: FloatArray = np.zeros(0)

    def add(self, elements: Strata, fit: int, nonzero: float, square_sum: float) -> Candidates:
        """Count one sample.

        Args:
            elements: What stands for the sample.
            fit: The fitting exponent of all samples so far, this one included.
            nonzero: Elements other than zero in the earlier samples.
            square_sum: Σ x² of the earlier samples.

        Returns:
            What the sample added.
        """
        self._follow(fit, nonzero, square_sum)
        exponents = range(self._first, self._first + len(self._sums))
        added = np.zeros(len(exponents))
        for values, weight in elements:
            if self._exact:
                errors = np.array([squared_error(values, e, self._bits, self._rounding) for e in exponents])
            else:
                errors = squared_errors(values, exponents, self._bits)
            errors = weight * errors
            self._sums += errors
            added += errors
        return Candidates(self._first, tuple(added.tolist()))

    def _follow(self, fit: int, nonzero: float, square_sum: float) -> None:
        first = fit - BELOW[self._bits]
        if not len(self._sums):
            self._first, self._sums = first, np.zeros(BELOW[self._bits] + 1 + SLACK)
            return
        end = self._first + len(self._sums)
        if fit >= end:
            last = float(self._sums[-1])
            new = [coarser_error(last, e, nonzero, square_sum) for e in range(end, fit + 1 + SLACK)]
            self._sums = np.concatenate([self._sums, new])
        self._sums = self._sums[first - self._first :]
        self._first = first

    def result(self, fit: int) -> Candidates:
        """The sums; zeros around ``fit`` where every sample was all zero."""
        if not len(self._sums):
            return Candidates(fit - BELOW[self._bits], (0.0,) * (BELOW[self._bits] + 1))
        return Candidates(self._first, tuple(self._sums.tolist()))


class HistogramTally:
    """Magnitudes in 2,048 bins whose width is a power of two and doubles when the range does: merging is exact."""

    def __init__(self) -> None:
        self._exponent = FINEST
        self._counts: FloatArray = np.zeros(_BINS)
        self._zeros = 0.0

    def add(self, elements: Strata, largest: float) -> None:
        """Count one sample.

        Args:
            elements: What stands for the sample.
            largest: The largest magnitude of all samples so far, this one included.
        """
        exponent = int(np.frexp(largest)[1]) - _BINS.bit_length() + 1
        if largest > 0 and exponent > self._exponent:
            self._merge(exponent)
        inverse = np.ldexp(np.float32(1.0), -self._exponent)
        for values, weight in elements:
            magnitudes = np.abs(values[values != 0])
            bins = (magnitudes * inverse).astype(np.intp)
            self._counts += weight * np.bincount(bins, minlength=_BINS)
            self._zeros += weight * (values.size - magnitudes.size)

    def _merge(self, exponent: int) -> None:
        shift = min(exponent - self._exponent, _BINS.bit_length() - 1)
        merged = self._counts.reshape(-1, 1 << shift).sum(axis=1)
        self._counts = np.zeros(_BINS)
        self._counts[: len(merged)] = merged
        self._exponent = exponent

    def result(self) -> Histogram:
        """The histogram so far."""
        return Histogram(self._exponent, self._counts.copy(), self._zeros)
