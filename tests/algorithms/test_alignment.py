"""Alignment: the regression it stands for, with and without its penalty."""

from __future__ import annotations

import numpy as np
import pytest

from tinsmith.algorithms.alignment import RIDGE, aligned, ridge_of


def moments(chips: np.ndarray, reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """H and C of (K, positions)."""
    return (chips @ chips.T / chips.shape[1])[None], (reals @ chips.T / chips.shape[1])[None]


def test_without_penalty_it_is_least_squares() -> None:
    rng = np.random.default_rng(0)
    reals, weights = rng.standard_normal((5, 400)), rng.standard_normal((3, 5))
    chips = rng.standard_normal((5, 5)) @ reals + 0.1 * rng.standard_normal((5, 400))
    best, *_ = np.linalg.lstsq(chips.T, (weights @ reals).T, rcond=None)
    assert aligned(weights, *moments(chips, reals), ridge=0.0) == pytest.approx(best.T, rel=1e-9)


def test_the_same_inputs_leave_weights_alone() -> None:
    rng = np.random.default_rng(1)
    reals, weights = rng.standard_normal((4, 50)), rng.standard_normal((2, 4))
    assert np.array_equal(aligned(weights, *moments(reals, reals), ridge=4.0), weights)


def test_a_high_penalty_leaves_weights_alone() -> None:
    rng = np.random.default_rng(2)
    reals, weights = rng.standard_normal((4, 50)), rng.standard_normal((2, 4))
    assert aligned(weights, *moments(0.5 * reals, reals), ridge=1e9) == pytest.approx(weights, rel=1e-6)


@pytest.mark.parametrize("ridge", [0.0, 4.0])
def test_channels_with_moments_of_their_own_are_aligned_one_by_one(ridge: float) -> None:
    rng = np.random.default_rng(3)
    reals, weights = rng.standard_normal((3, 4, 60)), rng.standard_normal((3, 4))
    chips = reals + 0.3 * rng.standard_normal(reals.shape)
    found = [moments(chip, real) for chip, real in zip(chips, reals, strict=True)]
    together = aligned(weights, np.concatenate([h for h, _ in found]), np.concatenate([c for _, c in found]), ridge)
    alone = [aligned(row[None], *pair, ridge)[0] for row, pair in zip(weights, found, strict=True)]
    assert together == pytest.approx(np.stack(alone), rel=1e-9)


def test_dead_inputs_are_no_trouble() -> None:
    zeros = np.zeros((1, 3, 3))
    assert np.array_equal(aligned(np.ones((2, 3)), zeros, zeros, 4.0), np.ones((2, 3)))


def test_scarce_positions_raise_the_penalty() -> None:
    assert ridge_of(10, 10**9) == pytest.approx(RIDGE)
    assert ridge_of(64, 48) > 10 * RIDGE
    assert ridge_of(5, 0) > ridge_of(5, 1) - 1e-9
