"""Add, Sub and Mul against Python's integers, interpreted and compiled."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.one_node import FAMILIES, P4, S3, WIDTHS, C, OneNode, float_node, lowered, whole
from tinsmith.ops import find
from tinsmith.program import DType
from tinsmith.quant.rounding import Rounding
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import Target

SHAPES = st.sampled_from(
    [
        ((2, 3), (2, 3)),
        ((1, 2, 3, 5), (1, 2, 3, 5)),
        ((1, 2, 2, 17), (17,)),
        ((1, 2, 2, 8), (1, 1, 1, 8)),
        ((1, 2, 2, 4), (1, 1, 1, 1)),
        ((1, 3, 1), (1, 3, 4)),
        ((5,), (2, 3, 5)),
        ((), (3,)),
    ]
)
SEEDS = st.integers(0, 2**32 - 1)


def clipped(value: int, bits: int) -> int:
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, value))


def nearest(value: Fraction, target: Target) -> int:
    """Half up, or to even, in rational numbers."""
    return floor(value + Fraction(1, 2)) if target.rounding is Rounding.HALF_UP else round(value)


def pair(op_type: str, target: Target, bits: int, shapes: tuple[tuple[int, ...], ...], seed: int) -> OneNode:
    rng = np.random.default_rng(seed)
    node = OneNode(op_type, target, DType.INT8 if bits == 8 else DType.INT16, -5)
    node.feed(whole(shapes[0], bits, rng), -5)
    second = whole(shapes[1], bits, rng)
    return node.constant(second, -5) if seed % 2 else node.feed(second, -5)


def operands(node: OneNode) -> tuple[list[int], list[int]]:
    arrays = [node.feeds[n] if n in node.feeds else node.constants[n].data for n in node.inputs]
    a, b = np.broadcast_arrays(*arrays)
    return a.ravel().tolist(), b.ravel().tolist()


@given(FAMILIES, WIDTHS, SHAPES, SEEDS)
def test_add_and_sub_saturate(
    target: Target, bits: int, shapes: tuple[tuple[int, ...], tuple[int, ...]], seed: int
) -> None:
    for op_type, sign in (("Add", 1), ("Sub", -1)):
        node = pair(op_type, target, bits, shapes, seed)
        expected = [clipped(a + sign * b, bits) for a, b in zip(*operands(node), strict=True)]
        assert node.run().ravel().tolist() == expected


@given(FAMILIES, st.integers(0, 18), SHAPES, SEEDS)
def test_int8_products_are_rounded_exactly(
    target: Target, shift: int, shapes: tuple[tuple[int, ...], tuple[int, ...]], seed: int
) -> None:
    node = pair("Mul", target, 8, shapes, seed)
    node.exponent = -10 + shift
    expected = [clipped(nearest(Fraction(a * b, 2**shift), target), 8) for a, b in zip(*operands(node), strict=True)]
    assert node.run().ravel().tolist() == expected


@given(st.sampled_from([S3, P4]), st.integers(0, 31), st.sampled_from([8, 9, 24]), SEEDS)
def test_int16_products_in_vectors_are_rounded_exactly(target: Target, shift: int, length: int, seed: int) -> None:
    node = pair("Mul", target, 16, ((1, 2, 3, length), (1, 1, 1, length)), seed)
    node.exponent = -10 + shift
    expected = [clipped(nearest(Fraction(a * b, 2**shift), target), 16) for a, b in zip(*operands(node), strict=True)]
    assert node.run().ravel().tolist() == expected


@given(FAMILIES, st.integers(0, 20), SEEDS)
def test_int16_products_of_short_rows_are_rounded_to_float32_first(target: Target, shift: int, seed: int) -> None:
    node = pair("Mul", target, 16, ((1, 3, 3, 7), (1, 1, 1, 7)), seed)
    node.exponent = -10 + shift
    singles = [np.float32(np.float32(a * b) * np.float32(2.0**-shift)) for a, b in zip(*operands(node), strict=True)]
    if target.rounding is Rounding.HALF_UP:
        expected = [clipped(floor(np.float32(float(v) + 0.5)), 16) for v in singles]
    else:
        expected = [clipped(round(float(v)), 16) for v in singles]
    assert node.run().ravel().tolist() == expected


@pytest.mark.parametrize(("length", "target", "expected"), [(8, S3, 27304), (7, S3, 27305), (8, C, 27305)])
def test_the_innermost_run_decides_between_integers_and_float32(length: int, target: Target, expected: int) -> None:
    """The product is one below a tie, and float32 rounds it up to the tie."""
    assert 32765 * 27307 == 27304 * 2**15 + 2**14 - 1
    node = OneNode("Mul", target, DType.INT16, 15)
    node.feed(np.full((1, 1, length), 32765, np.int16)).feed(np.full((1, 1, length), 27307, np.int16))
    assert node.run().tolist() == [[[expected] * length]]


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul"])
def test_float_nodes(op_type: str) -> None:
    a, b = np.float32([[0.1, -3.5], [1e30, -0.0]]), np.float32([0.2, 7.25])
    expected = {"Add": a + b, "Sub": a - b, "Mul": a * b}[op_type]
    assert OneNode(op_type, P4, DType.FLOAT).feed(a).feed(b).run().tolist() == expected.tolist()


def test_exponents_are_never_read_by_sums_and_said_to_be_so() -> None:
    node = OneNode("Add", S3, DType.INT8, -4).feed(np.int8([100, -3]), -5).feed(np.int8([100, 1]), -3)
    assert node.run().tolist() == [127, -2]
    assert node.broken_rules() == [
        "the exponents [-5, -3, -4] of its operands and output differ, and the kernel reads none of them. "
        "Requantize those that differ."
    ]
    assert OneNode("Sub", S3, DType.INT8, -5).feed(np.int8([1]), -5).feed(np.int8([2]), -5).broken_rules() == []


def test_products_shift_right_only() -> None:
    node = OneNode("Mul", P4, DType.INT8, -11).feed(np.int8([1]), -5).feed(np.int8([2]), -5)
    assert node.run().tolist() == [4]
    assert node.broken_rules() == [
        "it shifts right by -1 bits; only 0 … 31 are possible. Change its output's exponent."
    ]
    assert OneNode("Mul", P4, DType.INT8, 22).feed(np.int8([1]), -5).feed(np.int8([2]), -5).broken_rules() != []


def test_five_merged_dimensions_break_a_rule() -> None:
    a, b = np.zeros((2, 1, 2, 1, 2), np.int8), np.zeros((1, 2, 1, 2, 1), np.int8)
    assert ["5 dimensions" in r for r in OneNode("Add", P4, DType.INT8).feed(a).feed(b).broken_rules()] == [True]


def test_ports_tie_sums_and_bound_products() -> None:
    shapes = [(1, 2, 3, 4), (1, 2, 3, 4)]
    assert find("Add").ports(float_node("Add", shapes, (1, 2, 3, 4)), P4).tied == (0, 1)
    assert find("Mul").ports(float_node("Mul", shapes, (1, 2, 3, 4)), P4).product == (0, 1)


def test_constants_are_laid_out_with_the_activation() -> None:
    scale = np.float32([0.25, 0.5, -1.0]).reshape(3, 1, 1)
    program = lowered(float_node("Mul", [(1, 3, 2, 2), scale], (1, 3, 2, 2)), {"in0": -4, "in1": -6, "y": -5}, 8, P4)
    x = np.random.default_rng(1).integers(-90, 90, program.inputs[0].shape).astype(np.int8)
    y = interpret(program, {"in0": x}, P4)["y"]
    axis = program.inputs[0].shape.index(3)
    shape = [3 if d == axis else 1 for d in range(4)]
    expected = np.clip(np.rint(x * 2.0**-4 * scale.reshape(shape) / 2.0**-5), -128, 127)
    assert y.tolist() == expected.tolist()


def test_float_overflow_is_silent() -> None:
    large = np.float32([3e38])
    sums = OneNode("Add", P4, DType.FLOAT).feed(large).feed(large).run()
    products = OneNode("Mul", P4, DType.FLOAT).feed(large).feed(-large).run()
    assert (sums.tolist(), products.tolist()) == ([np.inf], [-np.inf])
    assert OneNode("Exp", P4, DType.INT16, -15).feed(np.int16([88]), 0).run().tolist() == [32767]
