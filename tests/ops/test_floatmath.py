"""The runtime's single-precision functions, against Python's own float64 ones element by element."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinsmith.ops import floatmath

SINGLES = st.floats(width=32, allow_nan=False, allow_infinity=False)
MODERATE = st.floats(-80, 80, width=32)


def single(x: float) -> np.float32:
    return np.float32(x)


def array(*values: float) -> floatmath.Float32:
    return np.array(values, np.float32)


@given(MODERATE)
def test_expf_is_the_double_function_rounded_once(x: float) -> None:
    assert floatmath.expf(array(x))[0] == single(math.exp(x))


@given(st.floats(2.0**-140, 2.0**120, width=32))
def test_logf_and_sqrtf(x: float) -> None:
    assert floatmath.logf(array(x))[0] == single(math.log(x))
    assert floatmath.sqrtf(array(x))[0] == single(math.sqrt(x))


@given(st.floats(2.0**-10, 2.0**10, width=32), st.floats(-8, 8, width=32))
def test_powf(x: float, y: float) -> None:
    assert floatmath.powf(array(x), array(y))[0] == single(math.pow(x, y))


@given(SINGLES, SINGLES.filter(lambda y: y != 0))
def test_fmodf_is_exact(x: float, y: float) -> None:
    assert floatmath.fmodf(array(x), array(y))[0] == math.fmod(x, y)


@given(MODERATE)
def test_sigmoid_rounds_the_exponential_and_the_quotient(x: float) -> None:
    exponential = float(single(math.exp(-x)))
    assert floatmath.sigmoid(array(x))[0] == single(1.0 / (1.0 + exponential))


@given(st.floats(-40, 40, width=32))
def test_tanh_is_twice_the_sigmoid_less_one(x: float) -> None:
    twice = single(2 * float(floatmath.sigmoid(array(2 * x))[0]))
    assert floatmath.tanh(array(x))[0] == single(float(twice) - 1)


def test_tanh_is_not_tanhf() -> None:
    x = np.linspace(0.001, 1, 1000, dtype=np.float32)
    assert np.any(floatmath.tanh(x) != np.tanh(x.astype(np.float64)).astype(np.float32))


@given(st.lists(st.floats(-5, 5), max_size=4))
def test_erf(values: list[float]) -> None:
    assert floatmath.erf(np.array([values])).tolist() == [[math.erf(v) for v in values]]


@pytest.mark.parametrize(
    ("function", "x", "y"),
    [
        (floatmath.expf, 1000.0, math.inf),
        (floatmath.expf, -1000.0, 0.0),
        (floatmath.logf, 0.0, -math.inf),
        (floatmath.logf, -1.0, math.nan),
        (floatmath.sqrtf, -1.0, math.nan),
        (floatmath.sigmoid, -1000.0, 0.0),
        (floatmath.sigmoid, 1000.0, 1.0),
        (floatmath.tanh, -1000.0, -1.0),
    ],
)
def test_beyond_the_domain_as_in_c(function: Callable[[object], object], x: float, y: float) -> None:
    np.testing.assert_array_equal(function(array(x)), array(y))


def test_binary_functions_beyond_the_domain() -> None:
    assert np.isnan(floatmath.fmodf(array(1), array(0)))[0]
    assert np.isnan(floatmath.powf(array(-2), array(0.5)))[0]
    assert floatmath.powf(array(0), array(-1))[0] == math.inf
