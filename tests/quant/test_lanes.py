from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ops.linear_cases import integers

from tinsmith.quant.lanes import Lane, accumulate, blocks
from tinsmith.quant.linear import Geometry, Sums


def stepped(products: list[list[int]], bias: int, bits: int, every: int) -> tuple[int, int]:
    """One accumulator, product by product; ``products`` by tap. The result, and how many steps saturated."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    value, count = (bias + high + 1) % (1 << bits) - high - 1, 0
    for tap in products:
        for start in range(0, len(tap), every):
            value += sum(tap[start : start + every])
            if not low <= value <= high:
                value, count = min(high, max(low, value)), count + 1
    return value, count


@given(
    st.booleans(),
    st.integers(9, 20),
    st.sampled_from([1, 8]),
    st.integers(1, 20),
    st.integers(1, 4),
    st.sampled_from([(1, 1), (2, 1), (2, 3)]),
    st.floats(0.05, 1.0),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_lanes_saturate_as_stepped(
    depthwise: bool,
    bits: int,
    every: int,
    channels: int,
    filters: int,
    kernel: tuple[int, int],
    scale: float,
    rectified: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    x = integers(rng, (4, 4, channels), 8, scale)
    x = np.maximum(x, 0) if rectified else x
    shape = (channels, 1) if depthwise else (filters, channels)
    weights = integers(rng, (*shape, *kernel), 8, scale)
    sums = Sums.convolution(x, weights, Geometry(kernel), depthwise=depthwise)
    bias = rng.integers(-(1 << bits), 1 << bits, sums.channels)
    total, notes = accumulate(sums, bias, [Lane(slice(0, sums.channels), bits, every)])
    saturations = saturated = 0
    for i, j, n in np.ndindex(*total.shape):
        products = sums.products(np.asarray([i]), np.asarray([j]), np.asarray([n]))[0].tolist()
        value, count = stepped(products, int(bias[n]), bits, every)
        assert total[i, j, n] == value
        saturations, saturated = saturations + count, saturated + (count > 0)
    assert (notes.saturations, notes.saturated) == (saturations, saturated)
    assert notes.suspects >= saturated


def test_many_suspects_are_stepped_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    sums = Sums.product(integers(rng, (40, 64), 8), integers(rng, (64, 8), 8))
    lanes = [Lane(slice(0, 8), 15, 1)]
    whole, notes = accumulate(sums, np.zeros(8, np.int64), lanes)
    monkeypatch.setattr("tinsmith.quant.lanes._PRODUCTS", 200)
    again, same = accumulate(sums, np.zeros(8, np.int64), lanes)
    assert again.tolist() == whole.tolist()
    assert notes == same
    assert notes.saturated > 10


def test_lanes_of_their_own() -> None:
    x, matrix = np.full((1, 50), 127, np.int8), np.full((50, 3), 127, np.int8)
    lanes = [Lane(slice(0, 1), 20, 1), Lane(slice(1, 2), 40, 0), Lane(slice(2, 3), 19, 0)]
    total, notes = accumulate(Sums.product(x, matrix), np.asarray([0, 0, 5]), lanes)
    exact = 50 * 127 * 127
    assert total[0, 0].tolist() == [2**19 - 1, exact, (exact + 5 + 2**18) % 2**19 - 2**18]
    assert (notes.suspects, notes.saturated, notes.saturations) == (1, 1, 50 - 2**19 // 127**2)
    assert notes.peak == exact + 5
    assert notes.wrapped == 0


def test_bias_wraps_to_the_lane() -> None:
    sums = Sums.product(np.zeros((1, 1), np.int8), np.ones((1, 3), np.int8))
    bias = np.asarray([2**19, -(2**19) - 1, 2**19 - 1])
    total, notes = accumulate(sums, bias, [Lane(slice(0, 3), 20, 1)])
    assert total[0, 0].tolist() == [-(2**19), 2**19 - 1, 2**19 - 1]
    assert notes.wrapped == 2


def test_blocks_start_anew_with_each_tap() -> None:
    products = np.arange(2 * 2 * 10).reshape(2, 2, 10)
    found = blocks(products, 8)
    assert found.shape == (2, 4)
    assert found[0].tolist() == [sum(range(8)), 8 + 9, sum(range(10, 18)), 18 + 19]
    assert blocks(products, 1).tolist() == products.reshape(2, 20).tolist()
