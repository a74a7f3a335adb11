"""Activations and unary math: the runtime's float32 steps in int16, tables of the exact function in int8."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.one_node import FAMILIES, P4, S3, C, OneNode, every, float_node, lowered, objections
from tests.ops.test_division import stored
from tinsmith.ops import find
from tinsmith.ops.steps import upper_bound
from tinsmith.program import DType
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import Target

F = np.float32
ONE, HALF = F(1), F(0.5)


def exponential(x: Any) -> Any:
    return F(math.exp(x)) if x < 88 else F(math.inf)


def logistic(x: Any) -> Any:
    return F(1.0 / (1.0 + float(exponential(-x))))


def elu(x: Any, alpha: float) -> Any:
    return x if x >= 0 else F(alpha) * F(exponential(x) - ONE)


def leaky(x: Any, alpha: float) -> Any:
    return x if x >= 0 else F(x * F(alpha))


def hard_sigmoid(x: Any, alpha: float, beta: float) -> Any:
    return max(F(0), min(ONE, F(F(F(alpha) * x) + F(beta))))


def hard_swish(x: Any) -> Any:
    return F(max(0.0, min(1.0, 0.166667 * float(x) + 0.5)) * float(x))


def logarithm(x: Any) -> Any:
    return F(math.log(x)) if x > 0 else F(-math.inf) if x == 0 else F(math.nan)


STEPS: list[tuple[str, dict[str, Any], Callable[[Any], Any]]] = [
    ("Sigmoid", {}, logistic),
    ("Tanh", {}, lambda x: F(F(2 * logistic(F(2 * x))) - ONE)),
    ("Swish", {}, lambda x: F(logistic(x) * x)),
    ("Elu", {}, lambda x: elu(x, 1.0)),
    ("Elu", {"alpha": 0.3}, lambda x: elu(x, 0.3)),
    ("LeakyRelu", {}, lambda x: leaky(x, 0.01)),
    ("LeakyRelu", {"alpha": 0.125}, lambda x: leaky(x, 0.125)),
    ("HardSigmoid", {}, lambda x: hard_sigmoid(x, 0.2, 0.5)),
    ("HardSigmoid", {"alpha": 0.1667, "beta": 0.4}, lambda x: hard_sigmoid(x, 0.1667, 0.4)),
    ("HardSwish", {}, hard_swish),
    ("Exp", {}, exponential),
    ("Log", {}, logarithm),
    ("Sqrt", {}, lambda x: F(math.sqrt(x)) if x >= 0 else F(math.nan)),
    ("Relu", {}, lambda x: max(x, F(0))),
]


@pytest.mark.parametrize(("op_type", "attributes", "function"), STEPS, ids=lambda v: v if isinstance(v, str) else "")
@given(
    FAMILIES,
    st.lists(st.integers(-32768, 32767), min_size=1, max_size=40),
    st.integers(-14, -8),
    st.integers(-15, -7),
)
def test_int16_goes_through_float32(
    op_type: str,
    attributes: dict[str, Any],
    function: Callable[[Any], Any],
    target: Target,
    values: list[int],
    source: int,
    result: int,
) -> None:
    node = OneNode(op_type, target, DType.INT16, result, attributes).feed(np.int16(values), source)
    scale, unit = F(2.0**source), F(2.0**-result)
    with np.errstate(over="ignore"):
        expected = [stored(F(F(function(F(v) * scale)) * unit), target, 16) for v in values]
    assert node.interpreted().tolist() == expected


@pytest.mark.parametrize(("op_type", "attributes", "function"), STEPS, ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("target", [S3, P4, C], ids=lambda t: t.name)
def test_int8_without_table_too_and_compiled_over_every_input(
    op_type: str, attributes: dict[str, Any], function: Callable[[Any], Any], target: Target
) -> None:
    small = OneNode(op_type, target, DType.INT8, -5, attributes).feed(every(8), -4).run()
    assert small.tolist() == [stored(F(F(function(F(v / 16))) * F(32)), target, 8) for v in range(-128, 128)]
    wide = OneNode(op_type, target, DType.INT16, -13, attributes).feed(every(16).reshape(1, 16, 64, 64), -12).run()
    assert wide.shape == (1, 16, 64, 64)


def cubic(x: float) -> float:
    return x + 0.044715 * x**3


MEANT: list[tuple[str, dict[str, Any], Callable[[float], float]]] = [
    ("Sigmoid", {}, lambda x: 1 / (1 + math.exp(-x))),
    ("Tanh", {}, math.tanh),
    ("Swish", {}, lambda x: x / (1 + math.exp(-x))),
    ("Elu", {"alpha": 0.3}, lambda x: x if x >= 0 else 0.3 * math.expm1(x)),
    ("LeakyRelu", {"alpha": 0.2}, lambda x: x if x >= 0 else 0.2 * x),
    ("HardSigmoid", {}, lambda x: max(0, min(1, 0.2 * x + 0.5))),
    ("HardSwish", {}, lambda x: x * max(0, min(1, x / 6 + 0.5))),
    ("Exp", {}, math.exp),
    ("Relu", {}, lambda x: max(x, 0)),
    ("Neg", {}, lambda x: -x),
    ("Log", {}, lambda x: math.log(x) if x > 0 else -math.inf),
    ("Sqrt", {}, lambda x: math.sqrt(max(x, 0))),
    ("Gelu", {}, lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
    (
        "Gelu",
        {"approximate": "tanh"},
        lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * cubic(x))),
    ),
]


@pytest.mark.parametrize(("op_type", "attributes", "function"), MEANT, ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("target", [S3, P4], ids=lambda t: t.name)
@pytest.mark.parametrize("source", [-6, -4, -3])
def test_int8_becomes_the_table_of_the_exact_function(
    op_type: str, attributes: dict[str, Any], function: Callable[[float], float], target: Target, source: int
) -> None:
    result = source if op_type in ("LeakyRelu", "Relu", "Neg") else -5
    node = float_node(op_type, [(1, 256)], (1, 256), attributes)
    program = lowered(node, {"in0": source, "y": result}, 8, target)
    (only,) = program.nodes
    table = program.constants[str(only.attributes["lut"])]
    assert (only.op_type, only.attributes["quant_type"], table.exponents) == (op_type, "S8", (result,))
    found = interpret(program, {"in0": every(8).reshape(1, 256)}, target)["y"].ravel()
    for x, y in zip(range(-128, 128), found.tolist(), strict=True):
        exact = function(x * 2.0**source) * 2.0**-result
        assert abs(y - exact) <= 0.5 or (y == 127 and exact > 127) or (y == -128 and exact < -128)


@pytest.mark.parametrize("op_type", ["Sigmoid", "Relu", "Exp", "Neg", "LeakyRelu"])
def test_int16_has_no_table(op_type: str) -> None:
    program = lowered(float_node(op_type, [(1, 4)], (1, 4), {}), {"in0": -10, "y": -10}, 16, S3)
    assert program.constants == {}
    assert [n.attributes for n in program.nodes] == [{"quant_type": "S16"}]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("target", [S3, P4], ids=lambda t: t.name)
def test_neg_turns_the_smallest_into_the_largest(bits: int, target: Target) -> None:
    x = every(bits)
    dtype = DType.INT8 if bits == 8 else DType.INT16
    node = OneNode("Neg", target, dtype, -3).feed(x, -5)
    assert node.run().tolist() == [min(-v, int(x.max())) for v in x.tolist()]
    assert node.broken_rules() == [
        "the exponents -5 of its input and -3 of its output differ, and the kernel reads neither."
    ]


def test_relu_of_equal_exponents_copies_and_of_others_rescales() -> None:
    x = every(8)
    assert OneNode("Relu", S3, DType.INT8, -5).feed(x, -5).run().tolist() == np.maximum(x, 0).tolist()
    halved = OneNode("Relu", S3, DType.INT8, -4).feed(x, -5).run()
    assert halved.tolist() == [(max(v, 0) + 1) // 2 for v in range(-128, 128)]


def test_floats() -> None:
    x = np.float32([-2.5, 0, 3.25])
    assert OneNode("Relu", P4, DType.FLOAT).feed(np.float32([*x, np.nan])).run().tolist() == [0, 0, 3.25, 0]
    assert OneNode("Neg", P4, DType.FLOAT).feed(x).interpreted().tolist() == [2.5, 0, -3.25]
    exp = OneNode("Exp", P4, DType.FLOAT).feed(x)
    assert exp.interpreted().tolist() == [float(exponential(v)) for v in x]
    assert "round differently" in exp.refused()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("bounds", [(0.0, 6.0), (-1.0, 1.0), (None, 2.0), (0.5, None), (None, None)])
@pytest.mark.parametrize("target", [S3, P4], ids=lambda t: t.name)
def test_clip(bits: int, bounds: tuple[float | None, float | None], target: Target) -> None:
    limits = [None if b is None else np.asarray(b, np.float32) for b in bounds]
    node = float_node("Clip", [(1, 1 << bits), *limits], (1, 1 << bits))
    e = 4 - bits
    program = lowered(node, {"in0": e, "y": e}, bits, target)
    (only,) = program.nodes
    assert [program.constants[name].shape for name in only.inputs[1:]] == [(), ()]
    assert [program.constants[name].exponents for name in only.inputs[1:]] == [(e,), (e,)]
    assert ("lut" in only.attributes) == (bits == 8)
    x = every(bits).reshape(1, -1)
    low, high = (x.min() if bounds[0] is None else bounds[0] / 2**e, x.max() if bounds[1] is None else bounds[1] / 2**e)
    assert interpret(program, {"in0": x}, target)["y"].tolist() == np.clip(x, low, high).tolist()


@given(FAMILIES, st.integers(-32768, 32767), st.integers(-32768, 32767), st.integers(-3, 4))
def test_clip_in_int16_clips_raw_integers_then_rescales(target: Target, first: int, second: int, shift: int) -> None:
    low, high = np.int16(min(first, second)), np.int16(max(first, second))
    node = OneNode("Clip", target, DType.INT16, -12 + shift).feed(every(16), -12).constant(low, -12).constant(high, -12)
    expected = np.clip(target.rounding.rshift(np.clip(every(16), low, high), shift), -32768, 32767)
    assert node.run().tolist() == expected.tolist()


def test_clip_with_an_absent_bound() -> None:
    node = OneNode("Clip", P4, DType.INT16, -12).feed(np.int16([-5, 5, 50]), -12).absent().constant(np.int16(9), -12)
    assert node.run().tolist() == [-5, 5, 9]


def test_clip_limits() -> None:
    one = np.asarray(1, np.float32)
    assert objections(float_node("Clip", [(1, 4), one, one], (1, 4)), P4) == []
    assert ["as constants" in m for m in objections(float_node("Clip", [(1, 4), (), one], (1, 4)), P4)] == [True]
    assert ["swap" in m for m in objections(float_node("Clip", [(1, 4), 2 * one, one], (1, 4)), P4)] == [True]
    assert upper_bound(float_node("Clip", [(1, 4), 0 * one, 6 * one], (1, 4))) == 6


def test_swish_has_no_alpha() -> None:
    assert objections(float_node("Swish", [(1, 4)], (1, 4), {"alpha": 1.0}), P4) == []
    assert ["alpha" in m for m in objections(float_node("Swish", [(1, 4)], (1, 4), {"alpha": 1.5}), P4)] == [True]


@pytest.mark.parametrize(
    ("op_type", "tied"), [("Relu", (0,)), ("Clip", (0,)), ("LeakyRelu", (0,)), ("Neg", (0,)), ("Swish", ())]
)
def test_what_keeps_its_exponent(op_type: str, tied: tuple[int, ...]) -> None:
    assert find(op_type).ports(float_node(op_type, [(1, 4)], (1, 4)), P4).tied == tied
