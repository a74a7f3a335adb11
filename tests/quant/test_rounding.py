"""Scaling by powers of two is exact wherever numpy's is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinsmith.quant.rounding import scaled_by_power

EDGES = [0.0, -0.0, 1.5, -3.25e-38, 1.4e-45, 3.3e38, np.inf, -np.inf, np.nan]


@given(
    st.lists(st.floats(width=32), max_size=20),
    st.integers(-300, 300),
    st.sampled_from([np.float32, np.float64, np.float16]),
)
def test_a_product_is_what_ldexp_gives(values: list[float], exponent: int, dtype: type) -> None:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        array: NDArray[Any] = np.array([*EDGES, *values]).astype(dtype)
        found = scaled_by_power(array, np.asarray(exponent))
        wanted = np.ldexp(array, exponent)
    assert found.dtype == wanted.dtype == array.dtype
    assert np.array_equal(found, wanted, equal_nan=True)
    assert np.array_equal(np.signbit(found), np.signbit(wanted))


@pytest.mark.parametrize("exponents", [[-3, 0, 5], [-140, 0, 120]])
def test_an_exponent_for_each_channel(exponents: list[int]) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(scaled_by_power(array, np.array(exponents)), np.ldexp(array, exponents))
