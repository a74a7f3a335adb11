"""Comparisons of raw integers, and how float operands come to one exponent."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.one_node import FAMILIES, P4, WIDTHS, C, OneNode, float_node, lowered, whole
from tinsmith.errors import QuantizationError
from tinsmith.program import DType
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import Target

MEANING: dict[str, Callable[[Any, Any], bool]] = {
    "Equal": operator.eq,
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
    "Less": operator.lt,
    "LessOrEqual": operator.le,
}


@pytest.mark.parametrize("op_type", MEANING)
@given(FAMILIES, WIDTHS, st.sampled_from([(4,), (3, 4), (3, 1)]), st.integers(0, 2**32 - 1))
def test_raw_integers_are_compared(op_type: str, target: Target, bits: int, shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = whole((3, 4), bits, rng), whole(shape, bits, rng)
    node = OneNode(op_type, target, DType.BOOL).feed(a, -3).feed(b, -5)
    pairs = zip(*(t.ravel().tolist() for t in np.broadcast_arrays(a, b)), strict=True)
    assert node.run().ravel().tolist() == [MEANING[op_type](x, y) for x, y in pairs]


def test_exponents_that_differ_break_a_rule() -> None:
    node = OneNode("Less", P4, DType.BOOL).feed(np.int8([1]), -3).feed(np.int8([1]), -5)
    assert node.broken_rules() == [
        "its operands have exponents -3 and -5, and the kernel reads neither. Requantize one of them."
    ]
    assert OneNode("Less", P4, DType.BOOL).feed(np.int8([1]), -3).feed(np.int8([1]), -3).broken_rules() == []


@pytest.mark.parametrize(("first", "second"), [(-3, -6), (-6, -3), (-4, -4)])
def test_computed_operands_are_brought_to_the_coarser_exponent(first: int, second: int) -> None:
    node = float_node("Greater", [(1, 4), (1, 4)], (1, 4), dtype=bool)
    program = lowered(node, {"in0": first, "in1": second}, 8, P4)
    assert [n.op_type for n in program.nodes] == (["Greater"] if first == second else ["RequantizeLinear", "Greater"])
    feeds = {"in0": np.int8([[40, -40, 24, 8]]), "in1": np.int8([[40, -40, 8, 127]])}
    wanted = max(first, second)
    a, b = (np.rint(feeds[n] * 2.0 ** (e - wanted)) for n, e in (("in0", first), ("in1", second)))
    assert interpret(program, feeds, P4)["y"].tolist() == (a > b).tolist()


def test_a_constant_operand_is_written_in_the_others_exponent() -> None:
    program = lowered(float_node("Less", [(1, 3), np.float32([0.5])], (1, 3), dtype=bool), {"in0": -4, "in1": -8}, 8, C)
    assert [n.op_type for n in program.nodes] == ["Less"]
    (constant,) = program.constants.values()
    assert (constant.data.tolist(), constant.exponents) == ([[8]], (-4,))
    assert interpret(program, {"in0": np.int8([[7, 8, 9]])}, C)["y"].tolist() == [[True, False, False]]


def test_floats_are_not_compared() -> None:
    with pytest.raises(QuantizationError, match="integer format"):
        lowered(float_node("Less", [(1, 3), (1, 3)], (1, 3), dtype=bool), {"in0": -4}, 8, P4)
