"""Scaling by powers of two is exact wherever numpy's is."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinsmith.quant.rounding import Rounding, qrange, scaled_by_power

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


NEAR = [
    0.5,
    -0.5,
    1.5,
    126.5,
    127.5,
    -128.5,
    -129.5,
    32767.5,
    -32768.5,
    1e-45,
    -1e-45,
    3e38,
    -3e38,
    np.inf,
    -np.inf,
    0.0,
]


@pytest.mark.parametrize("bits", [8, 16])
@given(st.lists(st.floats(-40000, 40000, width=32), max_size=20))
def test_half_up_is_that_of_an_exact_sum(bits: int, values: list[float]) -> None:
    middle = np.array([*NEAR, *values], np.float32)
    array = np.concatenate([middle, np.nextafter(middle, np.float32(-9e9)), np.nextafter(middle, np.float32(9e9))])
    found = Rounding.HALF_UP.quantize(array, 0, bits)
    wanted = [
        math.floor(Fraction(float(v)) + Fraction(1, 2)) if math.isfinite(v) else (1 if v > 0 else -1) << 40
        for v in array
    ]
    assert found.tolist() == np.clip(wanted, *qrange(bits)).tolist()
