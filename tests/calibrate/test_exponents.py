from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinsmith.calibrate import METHODS, ValueStats, choose_exponent, constant_stats, error_of
from tinsmith.calibrate.candidates import squared_error
from tinsmith.calibrate.entropy import divergence, entropy_exponent
from tinsmith.calibrate.exponents import MOST_KL_ERROR
from tinsmith.calibrate.stats import Histogram
from tinsmith.errors import RecipeError
from tinsmith.quant.rounding import Rounding

UP = Rounding.HALF_UP
FLOATS = hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-100, 100, width=32))


def stats_of(values: object) -> ValueStats:
    return constant_stats(np.asarray(values, np.float32), UP, histograms=True)


@given(FLOATS, st.sampled_from([8, 16]))
def test_mse_is_the_least_error_of_all_exponents_near_the_range(values: np.ndarray, bits: int) -> None:
    stats = stats_of(values)
    chosen = choose_exponent(stats, bits, "mse")
    if not values.any():
        assert chosen == 1 - bits
        return
    fit = stats.fit(bits)
    below = {8: 7, 16: 3}[bits]
    errors = {e: squared_error(values, e, bits, UP) for e in range(fit - below, fit + 5)}
    assert errors[chosen] == min(errors.values())
    assert chosen == max(e for e in errors if e <= fit and errors[e] == errors[chosen])


def test_mse_clips_what_is_rare_and_keeps_what_is_not() -> None:
    bulk = np.linspace(-1, 1, 20_000)
    assert choose_exponent(stats_of([*bulk, 1.2]), 8, "minmax") == -6
    assert choose_exponent(stats_of([*bulk, 1.2]), 8, "mse") == -7
    assert (
        choose_exponent(stats_of([*bulk[::100], 20.0]), 8, "mse") == choose_exponent(stats_of([20.0]), 8, "mse") == -2
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bits", [8, 16])
def test_all_zero_gets_the_unit_range(method: str, bits: int) -> None:
    assert choose_exponent(stats_of(np.zeros(9)), bits, method) == 1 - bits
    assert choose_exponent([stats_of(np.zeros(9))] * 2, bits, method) == 1 - bits


@pytest.mark.parametrize("method", METHODS)
def test_every_method_holds_a_single_magnitude(method: str) -> None:
    assert choose_exponent(stats_of([6.0] * 10), 8, method) == -4
    assert choose_exponent(stats_of([-8.0] * 10), 8, method) == -4


def test_percentile_lets_the_rest_saturate() -> None:
    values = np.concatenate([np.linspace(0, 1, 9990), np.full(10, 50.0)])
    stats = stats_of(values)
    assert choose_exponent(stats, 8, "percentile", percentile=100.0) == stats.fit(8) == -1
    assert choose_exponent(stats, 8, "percentile", percentile=99.9) == -6
    assert choose_exponent(stats, 8, "percentile") == -1  # 99.99 %: 1 of 10,000 may saturate, 10 may not
    assert choose_exponent(stats, 16, "percentile", percentile=99.9) == -14


def test_percentile_counts_zeros() -> None:
    values = np.zeros(10_000)
    values[:5] = [50, 1, 1, 1, 1]
    assert choose_exponent(stats_of(values), 8, "percentile", percentile=99.99) == -6
    assert choose_exponent(stats_of(values), 8, "percentile", percentile=99.0) == stats_of(values).fit(8)


@given(FLOATS, st.sampled_from([50.0, 90.0, 99.9, 100.0]))
def test_percentile_holds_that_share(values: np.ndarray, percentile: float) -> None:
    stats = stats_of(values)
    exponent = choose_exponent(stats, 8, "percentile", percentile=percentile)
    assert exponent <= stats.fit(8)
    outside = np.count_nonzero((values > 127.5 * 2.0**exponent) | (values < -128.5 * 2.0**exponent))
    assert outside <= len(values) * (1 - percentile / 100) + 1e-9


def test_kl_ignores_outliers_and_zeros(rng: np.random.Generator) -> None:
    bulk = rng.normal(0, 1, 100_000)
    plain = choose_exponent(stats_of(bulk), 8, "kl")
    assert choose_exponent(stats_of([*bulk, 100.0]), 8, "kl") == plain + 1
    assert choose_exponent(stats_of([*bulk, 100.0]), 8, "minmax") == plain + 5
    assert choose_exponent(stats_of([*bulk, *np.zeros(500_000)]), 8, "kl") == plain
    assert choose_exponent(stats_of(bulk), 16, "kl") == stats_of(bulk).fit(16)


def test_kl_does_not_sharpen_a_background_at_the_cost_of_the_rest(rng: np.random.Generator) -> None:
    """Nine in ten elements are one value: resolved alone, all others would saturate."""
    picture = stats_of([*rng.uniform(-1, 1, 10_000), *np.full(90_000, 0.0371)])
    assert entropy_exponent(picture.histogram, picture.fit(8), 8) < picture.fit(8) - 1
    chosen = choose_exponent(picture, 8, "kl")
    errors = [error_of(picture, exponent, 8) for exponent in range(picture.fit(8) - 3, picture.fit(8) + 1)]
    assert error_of(picture, chosen, 8) <= MOST_KL_ERROR * min(errors)


def reference_divergence(counts: list[float], per_level: int) -> float:
    """P against Q with loops, straight from the description."""
    kept = counts[: 128 * per_level]
    p = list(kept)
    p[-1] += sum(counts[128 * per_level :])
    q = [0.0] * len(p)
    for level in range(128):
        group = range(level * per_level, (level + 1) * per_level)
        filled = [i for i in group if p[i] > 0]
        for i in filled:
            q[i] = sum(kept[j] for j in group) / len(filled)
    total_p, total_q = sum(p), sum(q)
    return sum(a / total_p * np.log((a / total_p) / max(b / total_q, 1e-10)) for a, b in zip(p, q, strict=True) if a)


@pytest.mark.parametrize("above", [0, 1, 2, 4])
def test_divergence(rng: np.random.Generator, above: int) -> None:
    counts = rng.integers(0, 5, 2048).astype(np.float64)
    histogram = Histogram(-3, counts, zeros=7)
    expected = reference_divergence(counts.tolist(), 1 << above)
    assert divergence(histogram, -3 + above) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_divergence_is_zero_where_levels_are_bins_and_nothing_is_clipped() -> None:
    counts = np.zeros(2048)
    counts[:128] = 3
    assert divergence(Histogram(0, counts, 0), 0) == 0.0
    assert entropy_exponent(Histogram(0, counts, 0), 0, 8) == 0
    assert divergence(Histogram(0, np.zeros(2048), 5), 0) == 0.0


def test_error_of_inside_and_outside_the_window() -> None:
    values = np.linspace(-3, 3, 1001).astype(np.float32)
    stats = stats_of(values)
    fit = stats.fit(8)
    assert error_of(stats, fit - 2, 8) == squared_error(values, fit - 2, 8, UP)
    assert error_of(stats, fit - 8, 8) == inf
    assert error_of(stats, fit + 1, 8) == 1000 * 4.0 ** (fit + 1) / 12
    assert error_of(stats, fit + 20, 8) == pytest.approx(float((values.astype(np.float64) ** 2).sum()), rel=1e-12)
    assert error_of(stats_of(np.zeros(3)), -50, 8) == 0.0
    with pytest.raises(KeyError):
        error_of(constant_stats(values, UP, bits=(8,)), fit, 16)


@given(FLOATS)
def test_error_of_never_falls_above_the_window(values: np.ndarray) -> None:
    stats = stats_of(values)
    errors = [error_of(stats, stats.fit(8) + k, 8) for k in range(12)]
    assert errors == sorted(errors)


def test_values_that_share_an_exponent() -> None:
    wide, narrow, zero = stats_of(np.linspace(-8, 8, 100)), stats_of(np.linspace(-1, 1, 100)), stats_of([0.0])
    for method in METHODS:
        single = [choose_exponent(value, 8, method) for value in (wide, narrow)]
        assert choose_exponent([narrow, zero, wide], 8, method) == max(single)
    many = stats_of(np.linspace(-1.0, 1.0, 100_000))
    outlier = stats_of([1.1])
    assert choose_exponent(outlier, 8, "mse") == -6
    assert choose_exponent([many, outlier], 8, "mse") == -7


def test_unknown_or_impossible_choices_are_refused() -> None:
    stats = constant_stats(np.ones(3, np.float32), UP)
    with pytest.raises(RecipeError, match=r"no calibration method 'msee'.*Choose one of minmax, mse, percentile, kl"):
        choose_exponent(stats, 8, "msee")
    with pytest.raises(RecipeError, match="needs histograms"):
        choose_exponent(stats, 8, "kl")
    with pytest.raises(RecipeError, match="percentile: is 0"):
        choose_exponent(stats_of([1.0]), 8, "percentile", percentile=0.0)
