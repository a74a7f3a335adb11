"""Signal to noise, cosine and errors, against their formulas."""

from __future__ import annotations

from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinsmith.report.fidelity import Fidelity, Sums

pairs = st.integers(1, 4).flatmap(
    lambda rows: st.tuples(*(arrays(np.float32, (rows, 5), elements=st.integers(-99, 99)) for _ in range(2)))
)


def of(chip: np.ndarray, reference: np.ndarray) -> Fidelity:
    sums = Sums()
    for ours, theirs in zip(chip, reference, strict=True):
        sums.add(ours, theirs)
    return sums.result()


@given(pairs)
def test_the_formulas(pair: tuple[np.ndarray, np.ndarray]) -> None:
    chip, reference = (array.astype(np.float64) for array in pair)
    found, noise = of(*pair), chip - reference
    assert found.mse == (noise**2).sum() / noise.size
    assert found.max_abs == np.abs(noise).max()
    if noise.any() and reference.any():
        assert found.snr_db == pytest.approx(10 * np.log10((reference**2).sum() / (noise**2).sum()))
    if chip.any() and reference.any():
        norms = np.linalg.norm(chip) * np.linalg.norm(reference)
        assert found.cosine == pytest.approx((chip * reference).sum() / norms)


def test_equal_tensors() -> None:
    assert of(np.full((2, 3), 7), np.full((2, 3), 7.0)) == Fidelity(inf, pytest.approx(1.0), 0.0, 0.0)


def test_zeros() -> None:
    zeros, ones = np.zeros((1, 2)), np.ones((1, 2))
    assert of(zeros, zeros) == Fidelity(inf, 1.0, 0.0, 0.0)
    assert of(ones, zeros) == Fidelity(-inf, 0.0, 1.0, 1.0)
    assert of(zeros, ones) == Fidelity(0.0, 0.0, 1.0, 1.0)


def test_truth_values() -> None:
    assert of(np.array([[True, False]]), np.array([[True, True]])).mse == 0.5


def test_nothing_yet() -> None:
    assert Sums().result() == Fidelity(inf, 1.0, 0.0, 0.0)


def test_what_is_no_number_shows() -> None:
    found = of(np.array([[np.nan, 1.0]]), np.ones((1, 2)))
    assert all(isnan(figure) for figure in (found.snr_db, found.cosine, found.mse, found.max_abs))
