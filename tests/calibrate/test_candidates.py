from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinsmith.calibrate.candidates import (
    BELOW,
    FINEST,
    fit_exponent,
    fit_exponents,
    squared_error,
    squared_errors,
    window,
)
from tinsmith.quant.rounding import Rounding

BITS = st.sampled_from([8, 16])
ROUNDINGS = st.sampled_from(list(Rounding))
FLOATS = hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-1e6, 1e6, width=32))
SIXTEENTHS = hnp.arrays(np.int64, st.integers(1, 40), elements=st.integers(-5000, 5000))


def distance_squared(value: Fraction, exponent: int, bits: int) -> Fraction:
    """The squared distance to the nearest representable number, by looking at all of them nearby."""
    step = Fraction(2) ** exponent
    half = 2 ** (bits - 1)
    floor = value // step
    nearby = {min(max(q, -half), half - 1) for q in (floor, floor + 1)}
    return min((value - q * step) ** 2 for q in nearby)


def brute_fit(low: float, high: float, bits: int) -> int:
    half = 2 ** (bits - 1)
    for exponent in range(-200, 200):
        step = Fraction(2) ** exponent
        if Fraction(high) <= (half - Fraction(1, 2)) * step and -Fraction(low) <= (half + Fraction(1, 2)) * step:
            return exponent
    raise AssertionError


@pytest.mark.parametrize(
    ("low", "high", "bits", "expected"),
    [
        (0.0, 127.5, 8, 0),
        (0.0, float(np.nextafter(np.float32(127.5), np.float32(200))), 8, 1),
        (-128.5, 0.0, 8, 0),
        (float(np.nextafter(np.float32(-128.5), np.float32(-200))), 0.0, 8, 1),
        (-1.0, 0.0, 8, -7),
        (-1.0, 1.0, 8, -6),
        (0.0, 32767.5, 16, 0),
        (-1.0, 0.25, 16, -15),
        (3.0, 6.0, 8, -4),
        (-6.0, -3.0, 8, -4),
    ],
)
def test_fit_at_its_edges(low: float, high: float, bits: int, expected: int) -> None:
    assert fit_exponent(low, high, bits) == expected


@given(st.floats(-(2.0**90), 2.0**90, width=32), st.floats(2.0**-60, 2.0**90, width=32), BITS)
def test_fit_is_the_smallest_that_holds_the_range(low: float, high: float, bits: int) -> None:
    assert fit_exponent(low, high, bits) == brute_fit(low, high, bits)


def test_fit_of_nothing_and_of_next_to_nothing() -> None:
    low, high = np.array([0.0, -1e-44, 0.0]), np.array([0.0, 0.0, 1e-44])
    assert fit_exponents(low, high, 8).tolist() == [-7, FINEST, FINEST]
    assert fit_exponents(low, high, 16).tolist() == [-15, FINEST, FINEST]


@given(SIXTEENTHS, st.integers(-6, 10), BITS, ROUNDINGS)
def test_definition_equals_the_distance_to_the_nearest_number(
    sixteenths: np.ndarray, exponent: int, bits: int, rounding: Rounding
) -> None:
    expected = sum(distance_squared(Fraction(int(v), 16), exponent, bits) for v in sixteenths)
    assert squared_error((sixteenths / 16).astype(np.float32), exponent, bits, rounding) == expected


@given(FLOATS, st.integers(-12, 18), BITS)
def test_error_does_not_depend_on_the_rounding(values: np.ndarray, exponent: int, bits: int) -> None:
    assert squared_error(values, exponent, bits, Rounding.HALF_UP) == squared_error(
        values, exponent, bits, Rounding.HALF_EVEN
    )


@given(SIXTEENTHS, BITS)
def test_from_the_fitting_exponent_upwards_the_error_grows(sixteenths: np.ndarray, bits: int) -> None:
    values = (sixteenths / 16).astype(np.float32)
    fit = fit_exponent(float(values.min()), float(values.max()), bits)
    errors = [squared_error(values, e, bits, Rounding.HALF_UP) for e in range(fit, fit + 8)]
    assert errors == sorted(errors)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("size", [1, 1000, 8192, 20_001])
def test_quick_form_is_the_definition_to_single_precision(rng: np.random.Generator, bits: int, size: int) -> None:
    values = (rng.standard_t(3, size) * 0.7).astype(np.float32)
    exponents = window(fit_exponent(float(values.min()), float(values.max()), bits), bits)
    quick = squared_errors(values, exponents, bits)
    for exponent, error in zip(exponents, quick, strict=True):
        exact = squared_error(values, exponent, bits, Rounding.HALF_UP)
        assert abs(error - exact) <= exact * (min(size, 8192) + 2) * 2.0**-24


@given(SIXTEENTHS, BITS)
def test_quick_form_is_exact_on_short_fractions(sixteenths: np.ndarray, bits: int) -> None:
    values = (sixteenths % 64 / 16).astype(np.float32)
    exponents = range(-7, 4)
    expected = [squared_error(values, e, bits, Rounding.HALF_EVEN) for e in exponents]
    assert squared_errors(values, exponents, bits).tolist() == expected


def test_window_ends_at_the_fitting_exponent() -> None:
    assert list(window(3, 8)) == [-4, -3, -2, -1, 0, 1, 2, 3]
    assert len(window(0, 16)) == BELOW[16] + 1
