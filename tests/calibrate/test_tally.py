from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinsmith.calibrate.candidates import fit_exponent, squared_error
from tinsmith.calibrate.stats import Candidates
from tinsmith.calibrate.strata import everything
from tinsmith.calibrate.tally import SLACK, ErrorTally, HistogramTally, coarser_error
from tinsmith.quant.rounding import Rounding

UP = Rounding.HALF_UP
EIGHTHS = hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(-800, 800))


def tally_of(samples: list[np.ndarray], bits: int = 8, exact: bool = True) -> tuple[Candidates, int]:
    tally = ErrorTally(bits, UP, exact)
    low = high = nonzero = squares = 0.0
    for sample in samples:
        low, high = min(low, float(sample.min())), max(high, float(sample.max()))
        if sample.any():
            tally.add(everything(sample), fit_exponent(low, high, bits), nonzero, squares)
        nonzero += np.count_nonzero(sample)
        squares += float((sample.astype(np.float64) ** 2).sum())
    fit = fit_exponent(low, high, bits)
    return tally.result(fit), fit


def true_error(samples: list[np.ndarray], exponent: int, bits: int = 8) -> float:
    return sum(squared_error(sample, exponent, bits, UP) for sample in samples)


@given(st.lists(EIGHTHS, min_size=1, max_size=6), st.sampled_from([8, 16]))
def test_within_the_slack_the_sums_are_exact(eighths: list[np.ndarray], bits: int) -> None:
    # The first sample holds a magnitude that the others exceed by less than 2**SLACK.
    samples = [(np.concatenate([[100], part]) / 8).astype(np.float32) for part in eighths]
    candidates, fit = tally_of(samples, bits)
    assert fit in candidates.exponents
    assert list(candidates.errors) == [true_error(samples, e, bits) for e in candidates.exponents]


def test_beyond_the_slack_the_window_moves_and_the_estimate_is_bounded(rng: np.random.Generator) -> None:
    small = [rng.normal(size=500).astype(np.float32) for _ in range(4)]
    large = (rng.normal(size=500) * 2.0 ** (SLACK + 3)).astype(np.float32)
    candidates, fit = tally_of([*small, large])
    assert candidates.first == fit - 7
    assert candidates.exponents[-1] >= fit
    known = fit_exponent(min(map(np.min, small)), max(map(np.max, small)), 8) + SLACK
    for exponent, error in zip(candidates.exponents, candidates.errors, strict=True):
        own = squared_error(large, exponent, 8, UP)
        if exponent <= known:
            assert error == pytest.approx(true_error([*small, large], exponent), rel=1e-12)
        else:
            assert own + true_error(small, known) <= error <= own + sum(float((s**2).sum()) for s in small) + 1e-3


def test_a_jump_past_the_whole_window(rng: np.random.Generator) -> None:
    small, large = rng.normal(size=50).astype(np.float32), (rng.normal(size=50) * 2.0**40).astype(np.float32)
    candidates, fit = tally_of([small, large])
    squares = float((small.astype(np.float64) ** 2).sum())
    for exponent, error in zip(candidates.exponents, candidates.errors, strict=True):
        assert error == pytest.approx(squared_error(large, exponent, 8, UP) + squares, rel=1e-9)
    assert candidates.first == fit - 7


def test_samples_of_zeros_cost_nothing_whenever_they_come(rng: np.random.Generator) -> None:
    values, zeros = rng.normal(size=100).astype(np.float32), np.zeros(100, np.float32)
    alone, _ = tally_of([values])
    assert tally_of([zeros, values, zeros])[0] == alone
    nothing, fit = tally_of([zeros])
    assert nothing.errors == (0.0,) * 8
    assert nothing.exponents[-1] == fit == -7


@pytest.mark.parametrize(
    ("fitting", "exponent", "nonzero", "squares", "expected"),
    [
        (0.0, 1, 3.0, 100.0, 1.0),  # 3 · 4 / 12
        (2.5, 1, 3.0, 100.0, 2.5),  # never below the fitting exponent's error
        (0.0, 9, 3.0, 100.0, 100.0),  # never above that of rounding all to zero
    ],
)
def test_coarser_error(fitting: float, exponent: int, nonzero: float, squares: float, expected: float) -> None:
    assert coarser_error(fitting, exponent, nonzero, squares) == expected


@given(st.lists(hnp.arrays(np.float32, 20, elements=st.floats(-1e5, 1e5, width=32)), min_size=1, max_size=5))
def test_histogram_of_a_stream_is_that_of_all_at_once(samples: list[np.ndarray]) -> None:
    tally, largest = HistogramTally(), 0.0
    for sample in samples:
        largest = max(largest, float(np.abs(sample).max()))
        tally.add(everything(sample), largest)
    result = tally.result()
    magnitudes = np.abs(np.concatenate(samples)).astype(np.float64)
    if largest >= 2.0**-80:
        assert largest < 2048 * 2.0**result.exponent <= 2 * largest * 2048 / 1024
    edges = np.arange(2049) * 2.0**result.exponent
    expected, _ = np.histogram(magnitudes[magnitudes > 0], edges)
    assert result.counts.tolist() == expected.tolist()
    assert result.zeros == np.count_nonzero(magnitudes == 0)


def test_zeros_first_do_not_coarsen_the_bins() -> None:
    tally = HistogramTally()
    tally.add(everything(np.zeros(4, np.float32)), 0.0)
    tally.add(everything(np.array([1e-6], np.float32)), 1e-6)
    assert tally.result().exponent == -30
    assert tally.result().zeros == 4
