"""The figures of one tensor, sample by sample.

A *step* is what differences are counted in: that of the coarser of two integer formats, or of the only one; of two
floats 2^-20 of the largest magnitude, which is a few roundings of float32.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import numpy as np

from tinsmith.program import Array
from tinsmith.report.compare.held import Alignment, Held, aligned
from tinsmith.report.fidelity import Sums
from tinsmith.report.layer_error import add

FLOAT_STEP = 2.0**-20
"""Of two float tensors, relative to their largest magnitude."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """How the second's tensor is made comparable.

    Attributes:
        alignment: Its order of axes.
        factors: By which its channels are multiplied, shaped to be broadcast; None where they are taken as they are.
    """

    alignment: Alignment
    factors: Array | None = None


def fit(first: Held, second: Held) -> Fit | None:
    """How to lay the second beside the first; None where their shapes do not fit."""
    alignment = aligned(first, second, _noise)
    return None if alignment is None else Fit(alignment)


def exact(first: Held, second: Held) -> bool:
    """Whether both hold integers that mean the same."""
    kinds = {first.data.dtype.kind, second.data.dtype.kind}
    return kinds <= set("iub") and first.exponent == second.exponent


def default_tolerance(first: Held, second: Held) -> float | None:
    """Steps that count as equal where the user says nothing; None: there is no equality of integers and floats.

    Integers of two exponents are equal where they stand for the same numbers.
    """
    formats = [held.exponent is not None for held in (first, second)]
    if exact(first, second) or all(formats):
        return 0
    return None if any(formats) else 1


@dataclass(slots=True)
class Tally:
    """Running figures of one tensor.

    Of integers the sums are those of the integers themselves.

    Attributes:
        fitted: See `Fit`.
        tolerance: Steps that count as equal; None where there is no verdict: a step is counted with then.
        first: The first sample's tensor in the first.
        second: That in the second.
    """

    fitted: Fit
    tolerance: float | None
    first: Held
    second: Held
    elements: int = 0
    sums: Sums = field(default_factory=Sums)
    mismatches: int = 0
    largest: float = 0.0
    steps: float = 0
    at: tuple[int, ...] | None = None
    undefined: int = 0

    def add(self, first: Held, second: Held) -> None:
        """Take in one sample."""
        theirs = self.fitted.alignment(second.data, first.data.shape)
        self.elements += first.data.size
        if exact(first, second):
            self._add_integers(first, theirs)
        else:
            self._add_reals(first, Held(theirs, second.exponent))

    @property
    def diverged(self) -> bool | None:
        """Whether an element differs by more than the tolerance; one that is a number on one side only always does."""
        if self.undefined:
            return True
        return None if self.tolerance is None else self.mismatches > 0

    def _add_integers(self, first: Held, theirs: Array) -> None:
        scale = 1.0 if first.exponent is None else 2.0**first.exponent
        add(self.sums, first.data, theirs)  # cosine and ratio do not depend on the scale
        if np.array_equal(first.data, theirs):
            return
        apart = np.abs(first.data.astype(np.int64) - theirs.astype(np.int64))
        self.mismatches += int((apart > (self.tolerance or 0)).sum())
        most = int(apart.max())
        if most > self.steps:
            self.steps, self.largest, self.at = most, most * scale, _place(apart)

    def _add_reals(self, first: Held, second: Held) -> None:
        ours, theirs = first.real, second.real
        if self.fitted.factors is not None:
            theirs *= self.fitted.factors
        lone = _made_finite(ours, theirs)
        add(self.sums, ours, theirs)
        step = _step(first, second, ours, theirs)
        apart = np.abs(ours - theirs)
        apart[lone] = inf
        allowed = 1 if self.tolerance is None else self.tolerance
        self.mismatches += int((apart > allowed * step).sum())
        self.undefined += int(lone.sum())
        most = float(apart.max(initial=0))
        if most > self.largest:
            self.largest, self.at = most, _place(apart)
            self.steps = max(self.steps, most / step if step else inf)


def _made_finite(ours: Array, theirs: Array) -> Array:
    """Puts zeros where an element is NaN or infinite; which of them are not the same in both."""
    odd = ~(np.isfinite(ours) & np.isfinite(theirs))
    lone: Array = odd & ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    if odd.any():
        ours[odd] = theirs[odd] = 0.0
    return lone


def _place(apart: Array) -> tuple[int, ...]:
    return tuple(int(index) for index in np.unravel_index(int(apart.argmax()), apart.shape))


def _step(first: Held, second: Held, ours: Array, theirs: Array) -> float:
    exponents = [held.exponent for held in (first, second) if held.exponent is not None]
    if exponents:
        return 2.0 ** max(exponents)
    return FLOAT_STEP * float(max(np.abs(ours).max(initial=0), np.abs(theirs).max(initial=0)))


def _noise(ours: Array, theirs: Array) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.nan_to_num(np.square(ours - theirs), nan=inf).sum())
