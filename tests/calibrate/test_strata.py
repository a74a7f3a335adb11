from __future__ import annotations

from math import gcd

import numpy as np
import pytest

from tinsmith.calibrate.strata import DENSE, SPARSE, strata

SHAPES = [(96, 112, 112), (32, 64, 64), (7, 3001), (1, 2 * SPARSE + 1)]


def of(values: np.ndarray, index: int, subset: int = SPARSE) -> tuple[tuple[np.ndarray, float], ...]:
    flat = values.reshape(-1).astype(np.float32)
    return strata(flat, float(flat.min()), float(flat.max()), index, subset)


def test_few_elements_are_all_taken(rng: np.random.Generator) -> None:
    values = rng.normal(size=2 * SPARSE).astype(np.float32)
    ((taken, weight),) = of(values, 5)
    assert weight == 1.0
    assert np.array_equal(taken, values)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("subset", [SPARSE, DENSE])
def test_elements_stand_for_the_whole(rng: np.random.Generator, shape: tuple[int, ...], subset: int) -> None:
    values = rng.normal(size=shape).astype(np.float32)
    groups = of(values, 3, subset)
    assert sum(len(group) * weight for group, weight in groups) == pytest.approx(values.size, rel=1e-12)
    if len(groups) == 2:
        (tail, one), (body, _) = groups
        assert one == 1.0
        limit = np.abs(body).max()
        assert np.array_equal(np.sort(tail), np.sort(values[np.abs(values) > limit]))
        assert len(tail) < values.size / 32


@pytest.mark.parametrize("sign", [1, -1])
def test_one_sided_tensors_keep_their_tail(rng: np.random.Generator, sign: int) -> None:
    values = (sign * np.abs(rng.normal(size=100_000))).astype(np.float32)
    (tail, _), (body, _) = of(values, 0)
    assert np.array_equal(np.sort(tail), np.sort(values[np.abs(values) > np.abs(body).max()]))
    assert len(tail) > 0


def test_a_ceiling_that_many_reach_is_no_tail(rng: np.random.Generator) -> None:
    values = np.clip(rng.normal(3, 3, size=100_000), 0, 6).astype(np.float32)
    (tail, _), (body, _) = of(values, 0)
    assert len(tail) == 0
    assert body.max() == 6.0


def test_no_row_or_column_is_favoured() -> None:
    shape = (8, 112, 112)
    positions = np.arange(np.prod(shape), dtype=np.float32)
    (_, _), (body, _) = of(positions, 0)
    columns = body.astype(np.int64) % 112
    assert len(np.unique(columns)) == 112
    step = int(body[1] - body[0])
    assert gcd(step, positions.size) == 1


def test_samples_contribute_different_positions_and_always_the_same() -> None:
    positions = np.arange(100_000, dtype=np.float32)
    first, second = (set(of(positions, i)[1][0].tolist()) for i in (0, 1))
    assert not first & second
    assert set(of(positions, 1)[1][0].tolist()) == second
