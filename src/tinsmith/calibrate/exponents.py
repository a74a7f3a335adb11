"""From observations to an exponent: minmax, mse, percentile, kl."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from types import MappingProxyType

from tinsmith.calibrate.candidates import fit_exponent
from tinsmith.calibrate.entropy import entropy_exponent
from tinsmith.calibrate.stats import Histogram, ValueStats
from tinsmith.calibrate.tally import coarser_error
from tinsmith.errors import RecipeError

PERCENTILE = 99.99
"""Default of the percentile method: one magnitude in ten thousand may saturate."""

MOST_KL_ERROR = 4.0
"""The kl method may make so many times the squared error of its best candidate: one bit less. A constant background is
a peak in the histogram, which divergence wants resolved at the cost of all that is larger."""

Way = tuple[str, float]
"""How an exponent is chosen: the method, and the percentile for that of this name; or `GIVEN` and the exponent."""

GIVEN = "given"


def error_of(stats: ValueStats, exponent: int, bits: int) -> float:
    """Total squared error of a value at any exponent; sums over values that share one.

    Inside the observed window the observed error; coarser than it an estimate (uniform rounding noise, within the
    certain bounds: see ``tally.coarser_error``); finer than it infinity. A value that is always zero costs nothing.

    Raises:
        KeyError: The candidates of this width were not observed.
    """
    if stats.largest == 0:
        return 0.0
    candidates = stats.candidates[bits]
    exponents = candidates.exponents
    if exponent in exponents:
        return candidates.errors[exponent - candidates.first]
    if exponent < candidates.first:
        return inf
    return coarser_error(candidates.errors[-1], exponent, stats.nonzero, stats.square_sum)


def _minmax(stats: Sequence[ValueStats], bits: int, percentile: float) -> int:
    return max(value.fit(bits) for value in stats)


def _mse(stats: Sequence[ValueStats], bits: int, percentile: float) -> int:
    fit = _minmax(stats, bits, percentile)
    first = max(value.candidates[bits].first for value in stats)
    # Coarsest first: of equal errors the exponent with more headroom wins.
    return min(range(fit, first - 1, -1), key=lambda e: sum(error_of(value, e, bits) for value in stats))


def _percentile(stats: Sequence[ValueStats], bits: int, percentile: float) -> int:
    limits = [min(_histogram(value).quantile(percentile / 100.0), value.largest) for value in stats]
    return max(
        fit_exponent(max(value.minimum, -limit), min(value.maximum, limit), bits) if limit > 0 else value.fit(bits)
        for value, limit in zip(stats, limits, strict=True)
    )


def _kl(stats: Sequence[ValueStats], bits: int, percentile: float) -> int:
    fit = _minmax(stats, bits, percentile)
    chosen = max(entropy_exponent(_histogram(value), value.fit(bits), bits) for value in stats)
    errors = {e: sum(error_of(value, e, bits) for value in stats) for e in range(chosen, fit + 1)}
    most = MOST_KL_ERROR * min(errors.values())
    return next(e for e in errors if errors[e] <= most)


def _histogram(stats: ValueStats) -> Histogram:
    if stats.histogram is None:
        raise RecipeError("this calibration method needs histograms.", hint="Observe with histograms=True.")
    return stats.histogram


@dataclass(frozen=True, slots=True)
class Method:
    """A way to choose exponents.

    Attributes:
        choose: Called with the values that share the exponent, at least one of them not all zero; width; percentile.
        histograms: Whether it needs them observed.
    """

    choose: Callable[[Sequence[ValueStats], int, float], int]
    histograms: bool


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "minmax": Method(_minmax, histograms=False),
        "mse": Method(_mse, histograms=False),
        "percentile": Method(_percentile, histograms=True),
        "kl": Method(_kl, histograms=True),
    }
)
"""The methods by the name users give."""


def method_named(name: str) -> Method:
    """A calibration method.

    Raises:
        RecipeError: There is none of that name.
    """
    if name not in METHODS:
        raise RecipeError(f"there is no calibration method {name!r}.", hint=f"Choose one of {', '.join(METHODS)}.")
    return METHODS[name]


def choose_exponent(
    stats: ValueStats | Sequence[ValueStats], bits: int, method: str = "mse", *, percentile: float = PERCENTILE
) -> int:
    """The exponent of a value, or of several values that must share one.

    * ``minmax``: the smallest at which nothing saturates by more than half a step.
    * ``mse``: the candidate with the smallest sum of squared errors; of equal ones the coarsest.
    * ``percentile``: the smallest whose range holds this percentile of all magnitudes (zeros count).
    * ``kl``: the least information lost by clipping and merging the histogram (``calibrate.entropy``), among the
      exponents with at most `MOST_KL_ERROR` times the least squared error.

    For several values, mse adds their errors; the others take the coarsest of the single choices. Values that are
    always zero have no say; where all are, the exponent is ``-(bits - 1)``, the range [-1, 1).

    Raises:
        RecipeError: Unknown method, a percentile outside (0, 100], or missing histograms.
    """
    chosen = method_named(method)
    if not 0 < percentile <= 100:
        raise RecipeError(f"is {percentile}.", subject="percentile", hint="Give a number above 0 and up to 100.")
    group = [stats] if isinstance(stats, ValueStats) else list(stats)
    alive = [value for value in group if value.largest > 0]
    return chosen.choose(alive, bits, percentile) if alive else 1 - bits
