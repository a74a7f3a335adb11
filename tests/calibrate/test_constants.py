from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinsmith.calibrate import choose_exponent, choose_exponents, constant_stats, fill_dead
from tinsmith.calibrate.candidates import squared_error
from tinsmith.errors import ModelError, RecipeError
from tinsmith.quant.rounding import Rounding

WEIGHTS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=4, max_side=5),
    elements=st.floats(-4, 4, width=32).map(lambda v: v if abs(v) > 1e-3 else 0.0),
)


@given(WEIGHTS, st.sampled_from(list(Rounding)), st.sampled_from([8, 16]))
def test_whole_tensor_by_the_definition(weights: np.ndarray, rounding: Rounding, bits: int) -> None:
    stats = constant_stats(weights, rounding)
    candidates = stats.candidates[bits]
    assert candidates.exponents[-1] == stats.fit(bits)
    flat = weights.reshape(-1)
    assert list(candidates.errors) == [squared_error(flat, e, bits, rounding) for e in candidates.exponents]
    assert (stats.minimum, stats.maximum, stats.count) == (weights.min(), weights.max(), weights.size)
    assert stats.nonzero == np.count_nonzero(weights)


@given(WEIGHTS, st.integers(-2, 1), st.sampled_from(["minmax", "mse"]), st.sampled_from([8, 16]))
def test_channels_are_chosen_as_tensors_of_their_own(weights: np.ndarray, axis: int, method: str, bits: int) -> None:
    stats = constant_stats(weights, Rounding.HALF_EVEN, axis)
    parts = [constant_stats(part, Rounding.HALF_EVEN) for part in np.moveaxis(weights, axis, 0)]
    assert stats.fit(bits).tolist() == [part.fit(bits) for part in parts]
    assert stats.dead.tolist() == [part.largest == 0 for part in parts]
    assert stats.count * len(parts) == weights.size
    for row, part in zip(stats.errors[bits], parts, strict=True):
        assert row.tolist() == pytest.approx(part.candidates[bits].errors, rel=1e-12)
    if not stats.dead.any():
        chosen = choose_exponents(stats, bits, method).tolist()
        expected = [choose_exponent(part, bits, method) for part in parts]
        for a, b, part in zip(chosen, expected, parts, strict=True):
            errors = part.candidates[bits]  # sums in another order may break a tie the other way
            at = [errors.errors[e - errors.first] for e in (a, b)]
            assert a == b or at[0] == pytest.approx(at[1], rel=1e-12)


def test_dead_channels_follow_their_neighbours() -> None:
    weights = np.array([[0, 0], [1, 1], [0, 0], [0, 0], [0.1, 0.1], [0, 0]], np.float32)
    stats = constant_stats(weights, Rounding.HALF_UP, axis=0)
    alive = choose_exponents(stats, 8, "minmax")
    assert alive.tolist() == [-6, -6, -6, -10, -10, -10]
    assert choose_exponents(stats, 16, "minmax").tolist() == [-14, -14, -14, -18, -18, -18]


def test_fill_dead_prefers_the_lower_of_two_equally_near() -> None:
    dead = np.array([False, True, False])
    assert fill_dead(np.array([-3, 0, -5]), dead, 8).tolist() == [-3, -3, -5]
    assert fill_dead(np.array([1, 2]), np.array([True, True]), 8).tolist() == [-7, -7]


@pytest.mark.parametrize(("array", "reason"), [([np.nan, 1], "NaN"), ([np.inf], "infinity"), ([], "is empty")])
def test_unusable_constants(array: list[float], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        constant_stats(np.array(array, np.float32), Rounding.HALF_UP)


def test_per_channel_methods() -> None:
    with pytest.raises(RecipeError, match="per channel by 'kl'"):
        choose_exponents(constant_stats(np.ones((2, 2), np.float32), Rounding.HALF_UP, 0), 8, "kl")
