"""Functions the runtime lacks: their tables are the functions themselves."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from tests.ops.one_node import P4, S3, C, OneNode, every, float_node, lowered
from tinsmith.errors import ProgramError, QuantizationError
from tinsmith.ops import find
from tinsmith.ops.floatnode import FloatNode, Operand
from tinsmith.ops.functions import FUNCTION, OPERATORS
from tinsmith.ops.pointwise import apply, evaluate, functions
from tinsmith.program import DType
from tinsmith.quant.rounding import Rounding
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import Target

Real = Callable[[float], float]

MEANT: dict[str, Real] = {
    "Acos": lambda x: math.acos(max(-1, min(1, x))),
    "Acosh": lambda x: math.acosh(max(1, x)),
    "Asin": lambda x: math.asin(max(-1, min(1, x))),
    "Asinh": math.asinh,
    "Atan": math.atan,
    "Atanh": lambda x: math.atanh(x) if abs(x) < 1 else math.copysign(math.inf, x),
    "Ceil": math.ceil,
    "Celu": lambda x: x if x > 0 else math.exp(x) - 1,
    "Cos": math.cos,
    "Cosh": math.cosh,
    "Erf": math.erf,
    "Floor": math.floor,
    "Mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "Round": round,
    "Selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (math.exp(x) - 1)),
    "Shrink": lambda x: x if abs(x) > 0.5 else 0,
    "Sign": lambda x: (x > 0) - (x < 0),
    "Sin": math.sin,
    "Sinh": math.sinh,
    "Softplus": lambda x: math.log1p(math.exp(x)),
    "Softsign": lambda x: x / (1 + abs(x)),
    "Tan": math.tan,
    "ThresholdedRelu": lambda x: x if x > 1 else 0,
}


def rounded(values: list[float], unit: float, bits: int, target: Target) -> list[int]:
    """What the chip's rounding makes of real numbers."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    single = [v if math.isinf(v) else float(np.float32(v)) / unit for v in values]
    half_up = target.rounding is Rounding.HALF_UP
    clipped = [max(low - 1.0, min(high + 1.0, v)) for v in single]
    return [max(low, min(high, math.floor(v + 0.5) if half_up else round(v))) for v in clipped]


def test_every_function_is_tested() -> None:
    assert {operator.name for operator in OPERATORS} == {*MEANT, FUNCTION}


@pytest.mark.parametrize("target", [S3, P4, C], ids=lambda t: t.name)
@pytest.mark.parametrize("op_type", MEANT)
def test_int8_is_the_function_rounded_once(op_type: str, target: Target) -> None:
    program = lowered(float_node(op_type, [(1, 256)], (1, 256)), {"in0": -6, "y": -5}, 8, target)
    (node,) = program.nodes
    assert (node.op_type, node.attributes["original_op_type"]) == ("LUT", op_type)
    assert "int16_lut_step" not in node.attributes
    found = interpret(program, {"in0": every(8).reshape(1, -1)}, target)["y"].ravel()
    assert found.tolist() == rounded([MEANT[op_type](i / 64) for i in range(-128, 128)], 1 / 32, 8, target)


@pytest.mark.parametrize("op_type", MEANT)
def test_int16_is_the_function_rounded_once(op_type: str) -> None:
    program = lowered(float_node(op_type, [(1, 65536)], (1, 65536)), {"in0": -13, "y": -12}, 16, S3)
    (node,) = program.nodes
    assert (node.op_type, node.attributes["int16_lut_step"]) == ("LUT", 1)
    found = interpret(program, {"in0": every(16).reshape(1, -1)}, S3)["y"].ravel()
    some = range(-32768, 32768, 41)
    expected = rounded([MEANT[op_type](i / 8192) for i in some], 1 / 4096, 16, S3)
    # Two libraries' functions may differ in the last bit of a float32, which a tie makes visible.
    assert max(abs(int(found[i + 32768]) - e) for i, e in zip(some, expected, strict=True)) <= 1
    assert sum(int(found[i + 32768]) != e for i, e in zip(some, expected, strict=True)) <= 2


@pytest.mark.parametrize(
    ("op_type", "attributes", "points"),
    [
        ("Celu", {"alpha": 2.0}, {-2.0: 2 * (math.exp(-1) - 1), 3.0: 3.0}),
        ("Selu", {"alpha": 1.0, "gamma": 3.0}, {2.0: 6.0, -1.0: 3 * (math.exp(-1) - 1)}),
        ("Shrink", {"bias": 0.5, "lambd": 1.5}, {-2.0: -1.5, 1.0: 0.0, 1.5: 0.0, 2.0: 1.5}),
        ("ThresholdedRelu", {"alpha": 0.5}, {0.5: 0.0, 0.75: 0.75}),
        ("Round", {}, {0.5: 0.0, 1.5: 2.0, -0.5: 0.0}),
    ],
)
def test_attributes(op_type: str, attributes: dict[str, float], points: dict[float, float]) -> None:
    node = float_node(op_type, [(1, len(points))], (1, len(points)), attributes)
    assert apply(node, {"in0": np.array(list(points))}) == pytest.approx(list(points.values()))


def test_a_node_that_stands_for_several_has_their_function() -> None:
    shape, kind = (1, 3), np.dtype(np.float32)
    x, t, y = (Operand(name, shape, kind) for name in ("x", "t", "y"))
    two = Operand("two", (), kind, np.float32(2))
    body = (FloatNode("Mul", "a", (x, two), (t,)), FloatNode("Max", "b", (t, x), (y,)))
    assert evaluate(body, np.array([-1.0, 0.0, 3.0])).tolist() == [-1.0, 0.0, 6.0]
    program = lowered(FloatNode(FUNCTION, "b", (x,), (y,), body=body), {"x": -4, "y": -4}, 8, S3)
    assert program.nodes[0].attributes["original_op_type"] == "Mul+Max"
    assert interpret(program, {"x": np.int8([[-8, 0, 100]])}, S3)["y"].tolist() == [[-8, 0, 127]]


@pytest.mark.parametrize(
    ("op_type", "values", "expected"),
    [
        ("Abs", [[-2.0, 3.0]], [2.0, 3.0]),
        ("Mean", [[1.0], [2.0], [6.0]], [3.0]),
        ("Min", [[1.0, 5.0], [2.0, 4.0]], [1.0, 4.0]),
        ("Mod", [[-5.0], [3.0]], [1.0]),
        ("PRelu", [[-4.0, 4.0], [0.5, 0.5]], [-2.0, 4.0]),
        ("Reciprocal", [[4.0]], [0.25]),
        ("Pow", [[2.0], [3.0]], [8.0]),
        ("GreaterOrEqual", [[1.0, 2.0], [2.0, 2.0]], [False, True]),
    ],
)
def test_parts_of_formulas(op_type: str, values: list[list[float]], expected: list[float]) -> None:
    node = float_node(op_type, [(len(part),) for part in values], (len(values[0]),))
    found = apply(node, {f"in{i}": np.array(part) for i, part in enumerate(values)})
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("kind", "expected"), [(np.bool_, [True, False, True]), (np.int64, [-1, 0, 2]), (np.float32, [-1.5, 0, 2.75])]
)
def test_casts(kind: type, expected: list[float]) -> None:
    node = float_node("Cast", [(3,)], (3,), dtype=kind)
    assert apply(node, {"in0": np.array([-1.5, 0, 2.75])}).tolist() == expected


def test_a_remainder_has_the_sign_fmod_asks_for() -> None:
    node = float_node("Mod", [(1,), (1,)], (1,), {"fmod": 1})
    assert apply(node, {"in0": np.array([-5.0]), "in1": np.array([3.0])}).tolist() == [-2.0]


def test_what_is_no_number_becomes_zero() -> None:
    x, y = (Operand(name, (1, 2), np.dtype(np.float32)) for name in ("x", "y"))
    half = Operand("half", (), np.dtype(np.float32), np.float32(0.5))
    body = (FloatNode("Pow", "p", (x, half), (y,)),)
    program = lowered(FloatNode(FUNCTION, "p", (x,), (y,), body=body), {"x": 0, "y": 0}, 8, S3)
    assert interpret(program, {"x": np.int8([[-4, 9]])}, S3)["y"].tolist() == [[0, 3]]


def test_activations_are_known_by_their_functions() -> None:
    assert {"Relu", "Clip", "Sigmoid", "HardSwish", "Gelu", "Exp", "Softplus", "Add", "Where"} <= functions().keys()


def test_the_runtime_has_no_module_for_them() -> None:
    with pytest.raises(ProgramError, match="no such operator"):
        OneNode("Softplus", S3, DType.INT8).feed(every(8)).interpreted()


def test_tables_hold_integers() -> None:
    assert all(find(name).types == {"int8", "int16"} for name in MEANT)
    with pytest.raises(QuantizationError, match="integer format on both sides"):
        lowered(float_node("Softplus", [(1, 4)], (1, 4)), {"in0": -12}, 16, P4)
