"""Between formats: QuantizeLinear, DequantizeLinear, RequantizeLinear."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.one_node import FAMILIES, INTEGER, P4, S3, WIDTHS, OneNode, every, whole
from tinsmith.ops import find
from tinsmith.program import DType
from tinsmith.quant.rounding import Rounding
from tinsmith.targets import Target

SEEDS = st.integers(0, 2**32 - 1)


def dtype(bits: int) -> DType:
    return DType.of(INTEGER[bits])


def stored(value: Fraction, target: Target, bits: int) -> int:
    nearest = floor(value + Fraction(1, 2)) if target.rounding is Rounding.HALF_UP else round(value)
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, nearest))


@given(FAMILIES, WIDTHS, WIDTHS, st.integers(-12, 24), SEEDS)
def test_integers_are_shifted_and_rounded_exactly(
    target: Target, before: int, after: int, shift: int, seed: int
) -> None:
    x = whole((3, 5), before, np.random.default_rng(seed))
    result = OneNode("RequantizeLinear", target, dtype(after), -5 + shift).feed(x, -5).run()
    assert result.ravel().tolist() == [stored(v * Fraction(2) ** -shift, target, after) for v in x.ravel().tolist()]


@given(FAMILIES, WIDTHS, st.integers(-15, 4), st.lists(st.floats(-(2.0**18), 2.0**18, width=32), min_size=1))
def test_floats_are_rounded_half_up_in_float32_or_exactly_to_even(
    target: Target, bits: int, exponent: int, values: list[float]
) -> None:
    result = OneNode("QuantizeLinear", target, dtype(bits), exponent).feed(np.float32(values)).run()
    scaled = [np.float32(v) * np.float32(2.0**-exponent) for v in values]
    if target.rounding is Rounding.HALF_UP:
        expected = [stored(Fraction(floor(np.float32(float(v) + 0.5))), target, bits) for v in scaled]
    else:
        expected = [stored(Fraction(float(v)), target, bits) for v in scaled]
    assert result.tolist() == expected


@pytest.mark.parametrize("bits", [8, 16])
def test_no_number_and_infinities_saturate(bits: int) -> None:
    x = np.float32([np.nan, np.inf, -np.inf])
    high = (1 << (bits - 1)) - 1
    assert OneNode("QuantizeLinear", P4, dtype(bits), -3).feed(x).run().tolist() == [high, high, -high - 1]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("exponent", [-20, -7, 0, 3])
def test_every_integer_becomes_its_real_number(bits: int, exponent: int) -> None:
    x = every(bits)
    result = OneNode("DequantizeLinear", P4, DType.FLOAT).feed(x, exponent).run()
    assert result.tolist() == [v * 2.0**exponent for v in x.tolist()]


@given(FAMILIES, WIDTHS, st.integers(-15, 0))
def test_there_and_back_is_the_identity(target: Target, bits: int, exponent: int) -> None:
    x = every(bits)
    real = OneNode("DequantizeLinear", target, DType.FLOAT).feed(x, exponent).run()
    assert OneNode("QuantizeLinear", target, dtype(bits), exponent).feed(real).run().tolist() == x.tolist()


@pytest.mark.parametrize(
    ("before", "after", "left", "broken"),
    [(8, 8, 6, False), (8, 8, 7, True), (16, 8, 4, False), (16, 8, 5, True), (8, 16, 8, False), (16, 16, 9, False)],
)
def test_far_left_shifts_break_a_rule(before: int, after: int, left: int, broken: bool) -> None:
    x = np.zeros(3, INTEGER[before])
    rules = OneNode("RequantizeLinear", S3, dtype(after), -4 - left).feed(x, -4).broken_rules()
    reason = f"it shifts left by {left} bits, more than the {left - 1} that work from int{before} to int{after}. "
    assert rules == ([f"{reason}Bring the two exponents closer."] if broken else [])


def test_floats_shift_nowhere() -> None:
    assert OneNode("QuantizeLinear", S3, DType.INT8, -30).feed(np.float32([1])).broken_rules() == []


def test_float_networks_do_not_contain_them() -> None:
    assert [find(f"{kind}Linear").importable for kind in ("Quantize", "Dequantize", "Requantize")] == [False] * 3
