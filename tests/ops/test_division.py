"""Div, Mod and Pow: the runtime's float32 steps, one scalar at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.one_node import FAMILIES, P4, S3, WIDTHS, C, OneNode, every, float_node, objections, whole
from tinsmith.program import DType
from tinsmith.quant.rounding import Rounding
from tinsmith.targets import Target

SEEDS = st.integers(0, 2**32 - 1)
EXPONENTS = st.tuples(st.integers(-15, 2), st.integers(-15, 2), st.integers(-15, 2))
ONE = np.float32(1)


def stored(value: np.float32, target: Target, bits: int) -> int:
    """sat(R(v))."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if math.isnan(value) or value >= high:
        return high
    if value <= low:
        return low
    if target.rounding is Rounding.HALF_UP:
        return math.floor(np.float32(float(value) + 0.5))
    return round(float(value))


def node_of(op_type: str, target: Target, bits: int, exponents: tuple[int, int, int]) -> OneNode:
    return OneNode(op_type, target, DType.INT8 if bits == 8 else DType.INT16, exponents[2])


def quotient(a: int, b: int, exponents: tuple[int, int, int], *, reciprocal: bool) -> np.float32:
    k = np.float32(2.0 ** (exponents[0] - exponents[1] - exponents[2]))
    x, y = np.float32(a), np.float32(b)
    return x * (k / y) if reciprocal else (x * k) / y


def divided(a: int, b: int, exponents: tuple[int, int, int], target: Target, bits: int, *, reciprocal: bool) -> int:
    if a == 0:
        return 0
    if b == 0:
        return (1 << (bits - 1)) - 1 if a > 0 else -(1 << (bits - 1))
    return stored(quotient(a, b, exponents, reciprocal=reciprocal), target, bits)


@given(
    FAMILIES,
    WIDTHS,
    EXPONENTS,
    st.sampled_from(
        [
            ((2, 6), (2, 6), False),
            ((2, 6), (6,), False),
            ((2, 6), (2, 1), True),
            ((2, 6), (1,), True),
            ((1, 6), (3, 1), True),
            ((3, 1), (1, 6), False),
            ((1,), (1,), True),
        ]
    ),
    SEEDS,
    st.booleans(),
)
def test_div(
    target: Target,
    bits: int,
    exponents: tuple[int, int, int],
    shapes: tuple[tuple[int, ...], tuple[int, ...], bool],
    seed: int,
    constant: bool,
) -> None:
    rng = np.random.default_rng(seed)
    a, b = whole(shapes[0], bits, rng), whole(shapes[1], bits, rng)
    node = node_of("Div", target, bits, exponents).feed(a, exponents[0])
    node = node.constant(b, exponents[1]) if constant else node.feed(b, exponents[1])
    pairs = zip(*(t.ravel().tolist() for t in np.broadcast_arrays(a, b)), strict=True)
    expected = [divided(x, y, exponents, target, bits, reciprocal=shapes[2]) for x, y in pairs]
    assert node.run().ravel().tolist() == expected


def test_the_reciprocal_is_taken_first_where_the_divisor_repeats() -> None:
    """3/3 is 1 either way; 5·f32(1/5·k) is not always k: the order of the steps shows."""
    exponents = (0, 0, -15)
    differing = [
        (a, b)
        for a in range(1, 128)
        for b in range(1, 128)
        if quotient(a, b, exponents, reciprocal=True) != quotient(a, b, exponents, reciprocal=False)
    ]
    assert differing


@pytest.mark.parametrize("target", [S3, P4, C], ids=lambda t: t.name)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("constant", [True, False])
def test_a_single_dividend_makes_a_table_in_int8_whose_zero_over_zero_is_the_minimum(
    target: Target, bits: int, constant: bool
) -> None:
    divisors, low, high = every(8).astype(np.int8 if bits == 8 else np.int16), -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    for dividend, by_zero in ((5, high), (-5, low), (0, low if bits == 8 else 0)):
        node = node_of("Div", target, bits, (-3, -4, -5))
        a = np.array([[dividend]], divisors.dtype)
        node = (node.constant(a, -3) if constant else node.feed(a, -3)).feed(divisors, -4)
        result = node.run().ravel()
        others = [stored(quotient(dividend, b, (-3, -4, -5), reciprocal=False), target, bits) for b in range(1, 128)]
        assert result[128] == by_zero
        assert result[129:].tolist() == others


def test_div_and_mod_of_floats() -> None:
    a, b = np.float32([1, -7.5, 3, 0]), np.float32([3, 2, 0, 5])
    assert OneNode("Div", P4, DType.FLOAT).feed(a).feed(b).run().tolist() == [
        float(ONE / np.float32(3)),
        -3.75,
        math.inf,
        0,
    ]
    assert OneNode("Mod", P4, DType.FLOAT).feed(a).feed(b).run().tolist() == [1, -1.5, 0, 0]


@given(FAMILIES, WIDTHS, EXPONENTS, SEEDS, st.sampled_from([(7,), (2, 1)]))
def test_mod_has_the_sign_of_the_dividend(
    target: Target, bits: int, exponents: tuple[int, int, int], seed: int, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    a, b = whole((2, 7), bits, rng), whole(shape, bits, rng)
    result = node_of("Mod", target, bits, exponents).feed(a, exponents[0]).feed(b, exponents[1]).run()
    expected = [
        stored(
            np.float32(math.fmod(x * 2.0 ** exponents[0], y * 2.0 ** exponents[1]) * 2.0 ** -exponents[2]), target, bits
        )
        if y
        else 0
        for x, y in zip(*(t.ravel().tolist() for t in np.broadcast_arrays(a, b)), strict=True)
    ]
    assert result.ravel().tolist() == expected


def power(x: float, y: float) -> float:
    try:
        value = math.pow(x, y)
    except ValueError:
        return math.inf if x == 0 else math.nan
    return value


@pytest.mark.parametrize("target", [S3, P4], ids=lambda t: t.name)
@pytest.mark.parametrize("exponent", [2, 3, 1, -1])
def test_pow_with_a_constant_exponent_is_a_table(target: Target, exponent: int) -> None:
    node = OneNode("Pow", target, DType.INT8, -3).feed(every(8), -4).constant(np.int8([exponent]), 0)
    expected = [stored(np.float32(np.float32(power(x / 16, exponent)) * 8), target, 8) for x in range(-128, 128)]
    assert node.run().tolist() == expected


def test_pow_without_value_is_the_largest_integer() -> None:
    """A negative number to a fractional power is NaN, which the chips' conversions saturate upwards."""
    node = OneNode("Pow", P4, DType.INT16, -8).feed(np.int16([-4, 4]), 0).constant(np.int16([1]), -1)
    assert node.run().tolist() == [32767, 512]


def test_pow_of_two_computed_operands_is_interpreted() -> None:
    node = OneNode("Pow", P4, DType.INT8, -2).feed(np.int8([[2], [3]]), 0).feed(np.int8([1, 2]), 0)
    assert node.interpreted().tolist() == [[8, 16], [12, 36]]
    assert "powf rounds differently" in node.refused()
    floats = OneNode("Pow", P4, DType.FLOAT).feed(np.float32([2, 3])).feed(np.float32([0.5, 2]))
    assert floats.interpreted().tolist() == [float(np.float32(math.sqrt(2))), 9]
    assert "powf" in floats.refused()


def test_only_the_truncated_remainder_is_there() -> None:
    shapes = [(1, 4), (1, 4)]
    assert objections(float_node("Mod", shapes, (1, 4), {"fmod": 1}), P4) == []
    assert ["fmod=1" in m for m in objections(float_node("Mod", shapes, (1, 4)), P4)] == [True]
