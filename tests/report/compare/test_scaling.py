"""Factors of tensors and channels."""

from __future__ import annotations

import numpy as np
import pytest

from tinsmith.program import Array
from tinsmith.report.compare.held import Alignment, Held
from tinsmith.report.compare.scaling import ChannelSums

SHAPE = (1, 4, 6, 6)


def factors(ours: Array, theirs: Array, *inherited: Array, channels: bool = True) -> Array | None:
    sums = ChannelSums.of(Held(ours), Alignment((0, 1, 2, 3), channels=1))
    assert sums is not None
    sums.add(ours, theirs)
    return sums.factors(inherited, channels=channels)


@pytest.fixture
def theirs(rng: np.random.Generator) -> Array:
    return rng.normal(size=SHAPE)


def test_one_factor_for_all(theirs: Array) -> None:
    for channels in (True, False):
        found = factors(theirs * 0.25, theirs, channels=channels)
        assert found is not None
        np.testing.assert_allclose(found, np.full((1, 4, 1, 1), 0.25))


def test_a_factor_for_each_channel(theirs: Array) -> None:
    wanted = np.array([0.5, 1, 2, 8]).reshape(1, 4, 1, 1)
    found = factors(theirs * wanted, theirs)
    assert found is not None
    np.testing.assert_allclose(found, wanted)
    assert factors(theirs * wanted, theirs, channels=False) is None


def test_a_dead_channel_keeps_its_scale(theirs: Array) -> None:
    theirs[:, 2] = 0
    found = factors(theirs * np.array([4, 1, 1, 0.25]).reshape(1, 4, 1, 1), theirs)
    assert found is not None
    np.testing.assert_allclose(found.reshape(-1), [4, 1, 1, 0.25])


def test_noise_is_not_explained_away(theirs: Array, rng: np.random.Generator) -> None:
    assert factors(theirs + rng.normal(size=SHAPE), theirs) is None
    assert factors(rng.normal(size=SHAPE), theirs) is None
    assert factors(theirs, theirs) is None


def test_what_is_cut_off_is_not_scaled(rng: np.random.Generator) -> None:
    wide = rng.normal(size=SHAPE) * 100
    assert factors(np.clip(wide, -6, 6), wide, channels=False) is None


def test_few_elements_have_the_factors_of_what_they_come_from(rng: np.random.Generator) -> None:
    pooled = rng.normal(size=(1, 4, 1, 1))
    wanted = np.array([0.5, 1, 2, 8]).reshape(1, 4, 1, 1)
    assert factors(pooled * wanted, pooled) is None
    found = factors(pooled * wanted, pooled, np.ones((1, 3, 1, 1)), wanted)
    assert found is not None
    np.testing.assert_array_equal(found, wanted)


def test_without_channels_there_are_no_factors() -> None:
    assert ChannelSums.of(Held(np.zeros((4, 4))), Alignment((0, 1))) is None
    assert ChannelSums.of(Held(np.zeros((4, 1))), Alignment((0, 1), channels=1)) is None
