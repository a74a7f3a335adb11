"""What ceilings cost: the estimate against simulated data, its derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest

from tinsmith.algorithms.ceilings import Ceiling

LIMIT = 6.0


def ceiling(place: float, scale: float, count: float = 1000.0, cost: float = 1.0) -> Ceiling:
    return Ceiling(np.asarray([1]), np.asarray([place]), np.asarray([scale]), count, np.asarray([cost]), LIMIT)


def position(factor: float) -> np.ndarray:
    return np.asarray([0.0, np.log(factor)])


@pytest.mark.parametrize("factor", [0.6, 0.8, 0.95, 1.05, 1.3])
def test_noise_is_that_of_exponential_tails(factor: float) -> None:
    scale, count, samples = 0.5, 1000, 4000
    rng = np.random.default_rng(0)
    elements = rng.exponential(scale, (samples, count))
    place = scale * np.log(count)  # of the largest of so many exponential elements
    before, after = np.minimum(elements, LIMIT), np.minimum(elements, factor * LIMIT)
    measured = np.square(after - before).sum() / samples
    assert ceiling(place, scale).noise(position(factor)) == pytest.approx(measured, rel=0.1)


def test_nothing_is_lost_where_nothing_changes() -> None:
    assert ceiling(7.0, 0.5).noise(position(1.0)) == 0.0


def test_a_channel_far_below_its_ceiling_costs_next_to_nothing() -> None:
    assert ceiling(0.5, 0.1).noise(position(0.5)) < 1e-9
    assert ceiling(5.5, 0.1).noise(position(0.5)) > 1.0


def test_no_more_elements_than_there_are_exceed_it() -> None:
    cut = ceiling(60.0, 0.5, count=10)
    assert cut.noise(position(0.5)) <= 10 * 2 * 0.5**2


@pytest.mark.parametrize("factor", [0.5, 0.7, 0.99, 1.01, 1.6])
@pytest.mark.parametrize("place", [3.0, 5.5, 7.0])
def test_gradient_is_the_slope(factor: float, place: float) -> None:
    # A count so large that the number beyond the ceiling is not limited by it.
    term, step = ceiling(place, 0.8, count=1e9, cost=2.0), 1e-6
    into = np.zeros(2)
    term.gradient(position(factor), into, 3.0)
    above, below = (term.noise(position(factor) + np.asarray([0.0, sign * step])) for sign in (1, -1))
    assert into[1] == pytest.approx(3.0 * (above - below) / (2 * step), rel=1e-4, abs=1e-9)
    assert into[0] == 0.0
