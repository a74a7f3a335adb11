"""Reductions, against Python's own integers and fractions, or the manual's float steps."""

from __future__ import annotations

import math
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.moving import lowered_around, program_of, run, same_as_onnx, simulated
from tests.ops.one_node import FAMILIES, P4, S3, WIDTHS, float_node, objections, whole
from tinsmith.errors import ProgramError
from tinsmith.ops.inference import infer_shapes
from tinsmith.ops.newton import newton_root
from tinsmith.quant.rounding import Rounding
from tinsmith.simulator.compiled import NodePart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target

F = np.float32
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4)
SHARED = ("ReduceMean", "ReduceSum", "ReduceL1", "ReduceSumSquare", "ReduceMax", "ReduceMin")
FLOATING = ("ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd")


def nearest(v: Any, target: Target) -> int:
    """R(v) of a float32, or of a fraction."""
    if isinstance(v, Fraction):
        return floor(v + Fraction(1, 2)) if target.rounding is Rounding.HALF_UP else round(v)
    if not math.isfinite(v):
        return 2**31 - 1 if not v < 0 else -(2**31)
    if target.rounding is Rounding.HALF_EVEN:
        return round(float(v))
    wide = float(v) + 0.5
    return floor(F(wide)) if isinstance(v, np.float32) else floor(wide)


def newton(x: np.float32) -> np.float32:
    if x == 0:
        return x
    r = x
    for _ in range(300):
        new = F(F(r + F(x / r)) * F(0.5))
        if abs(F(new - r)) <= F(1e-5):
            return new
        r = new
    return r


def reduced(op_type: str, values: list[int], e_x: int, e_y: int, bits: int, target: Target) -> int:
    real = [F(v * 2.0**e_x) for v in values]
    out = F(2.0**-e_y)
    step = Fraction(2) ** (e_x - e_y)
    result: Any
    match op_type:
        case "ReduceMax":
            return max(values)
        case "ReduceMin":
            return min(values)
        case "ReduceSum":
            result = sum(values) * step
        case "ReduceL1":
            result = sum(abs(v) for v in values) * step
        case "ReduceSumSquare":
            result = sum(v * v for v in values) * step * Fraction(2) ** e_x
        case "ReduceMean":
            result = F(F(F(sum(values)) * F(2.0**e_x) / F(len(values))) * out)
        case "ReduceL2":
            result = F(newton(F(F(sum(v * v for v in values)) * F(2.0 ** (2 * e_x)))) * out)
        case "ReduceLogSum":
            total = F(sum(values)) * F(2.0**e_x)
            result = F((F(math.log(total)) if total > 0 else F(-np.inf) if total == 0 else F(np.nan)) * out)
        case "ReduceLogSumExp":
            total = F(0)
            for v in real:
                total = F(total + F(math.exp(float(v))))
            result = F(F(math.log(float(total))) * out)
        case _:
            product: Any = float(real[0]) if bits == 16 else real[0]
            for v in real[1:]:
                product = product * float(v) if bits == 16 else F(product * v)
            result = product * 2.0**-e_y if bits == 16 else F(product * out)
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, nearest(result, target)))


def expected(
    op_type: str, x: np.ndarray, axes: list[int], keep: int, exponents: tuple[int, int], bits: int, target: Target
) -> np.ndarray:
    kept = [at for at in range(x.ndim) if at not in axes]
    shape = [x.shape[at] for at in kept]
    rows = x.transpose(*kept, *sorted(axes)).reshape(math.prod(shape), -1)
    found = np.array([reduced(op_type, row, *exponents, bits, target) for row in rows.tolist()])
    return found.reshape([1 if at in axes else n for at, n in enumerate(x.shape)] if keep else shape or [1])


@pytest.mark.parametrize("op_type", SHARED + FLOATING)
@given(
    shape=SHAPES,
    data=st.data(),
    keep=st.integers(0, 1),
    bits=WIDTHS,
    e_x=st.integers(-9, -1),
    up=st.integers(-3, 6),
    target=FAMILIES,
    seed=SEEDS,
)
def test_exact(
    op_type: str, shape: list[int], data: st.DataObject, keep: int, bits: int, e_x: int, up: int, target: Target,
    seed: int,
) -> None:  # fmt: skip
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1))
    x = whole(shape, bits, np.random.default_rng(seed))
    if op_type == "ReduceLogSumExp" and bits == 16:
        e_x -= 8
    exponents = (e_x, e_x if op_type in ("ReduceMax", "ReduceMin") else e_x + up)
    inputs = [x, np.int64([axis - len(shape) * data.draw(st.integers(0, 1)) for axis in axes])]
    program = program_of(op_type, inputs, {"keepdims": keep}, exponents=exponents, spatial=len(shape) == 4)
    (found,) = run(program, target, {"x0": x}, whole=op_type in SHARED)
    wanted = expected(op_type, x, axes, keep, exponents, bits, target)
    assert found.shape == wanted.shape
    assert found.tolist() == wanted.tolist()


@pytest.mark.parametrize("op_type", ["ReduceMean", "ReduceSum", "ReduceL1", "ReduceSumSquare"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("target", [S3, P4], ids=lambda t: t.name)
@pytest.mark.parametrize("up", [1, 9, 20])
def test_sums_beyond_float32(op_type: str, bits: int, target: Target, up: int) -> None:
    x = whole((2, 140_000 if bits == 8 else 3_000), bits, np.random.default_rng(up))
    x[0] = -(1 << (bits - 1))
    exponents = (-5, -5 + up)
    program = program_of(op_type, [x, np.int64([1])], {}, exponents=exponents)
    wraps = op_type == "ReduceSumSquare" and bits == 8
    (found,) = run(program, target, {"x0": x}, whole=not wraps)
    if not wraps:
        assert found.tolist() == expected(op_type, x, [1], 1, exponents, bits, target).tolist()
    else:
        total = (2**14 * 140_000 + 2**31) % 2**32 - 2**31
        step = Fraction(2) ** (-10 + 5 - up)
        assert found[0, 0] == max(-128, min(127, nearest(total * step, target)))


@pytest.mark.parametrize("target", [S3, P4], ids=lambda t: t.name)
@pytest.mark.parametrize("shift", [20, 25, 30, 39, 50])
def test_sums_shifted_far(target: Target, shift: int) -> None:
    x = whole((40, 700), 16, np.random.default_rng(shift))
    x[:20] = np.abs(x[:20])
    program = program_of("ReduceSumSquare", [x, np.int64([1])], {}, exponents=(0, shift))
    (found,) = run(program, target, {"x0": x}, whole=shift <= 40)
    assert found.tolist() == expected("ReduceSumSquare", x, [1], 1, (0, shift), 16, target).tolist()


@pytest.mark.parametrize("op_type", SHARED + FLOATING)
def test_floats_run_in_the_interpreter_term_after_term(op_type: str) -> None:
    x = np.random.default_rng(5).uniform(0.1, 2, (3, 50)).astype(F)
    program = program_of(op_type, [x, np.int64([1])], {"keepdims": 0})
    assert [type(part) for part in compile_program(program, P4).parts] == [NodePart]
    (found,) = run(program, P4, {"x0": x}, whole=False)
    for got, values in zip(found, x, strict=True):
        total, squares, powers, product = F(0), F(0), F(0), F(1)
        for v in values:
            total, squares, product = F(total + v), F(squares + F(v * v)), F(product * v)
            powers = F(powers + F(math.exp(float(v))))
        assert (
            got
            == {
                "ReduceMean": F(total / F(50)),
                "ReduceSum": total,
                "ReduceL1": total,
                "ReduceSumSquare": squares,
                "ReduceMax": max(values),
                "ReduceMin": min(values),
                "ReduceL2": newton(squares),
                "ReduceLogSum": F(math.log(float(total))),
                "ReduceLogSumExp": F(math.log(float(powers))),
                "ReduceProd": product,
            }[op_type]
        )


@given(st.floats(0, 2.0**40, width=32))
def test_newtons_root(x: float) -> None:
    assert newton_root(np.array([x, 0, 4], F)).tolist() == [float(newton(F(x))), 0, float(newton(F(4)))]


def test_newtons_root_ends_where_it_never_settles() -> None:
    found = newton_root(np.array([np.inf, np.nan, 9], F))
    assert np.isnan(found[:2]).all()
    assert found[2] == newton(F(9))


def test_no_axes_are_all_axes_whatever_noop_says() -> None:
    x = np.arange(6, dtype=np.int8).reshape(2, 3)
    for attributes in ({}, {"noop_with_empty_axes": 1}):
        (found,) = run(program_of("ReduceSum", [x], {"keepdims": 0, **attributes}), S3, {"x0": x})
        assert found.tolist() == [15]
    program = program_of("ReduceMax", [x, np.int64([])], {})
    assert run(program, S3, {"x0": x})[0].tolist() == [[5]]
    assert infer_shapes(program, S3)["y0"] == (1, 1)


@pytest.mark.parametrize(
    ("axes", "message"), [([2], "axis 2 does not exist"), ([0, -2], "twice"), ([-3], "axis -3 does not exist")]
)
def test_hostile_axes(axes: list[int], message: str) -> None:
    x = np.zeros((2, 3), np.int8)
    with pytest.raises(ProgramError, match=message):
        interpret(program_of("ReduceMean", [x, np.int64(axes)], {}), {"x0": x}, S3)


def test_alternating_axes_are_refused() -> None:
    x = np.zeros((2, 2, 2, 2, 2), np.int8)
    program = program_of("ReduceMean", [x, np.int64([0, 2, 4])], {})
    assert "5 groups" in violations(program, S3)[0]
    assert violations(program_of("ReduceMean", [x, np.int64([0, 2, 3])], {}), S3) == []
    node = float_node("ReduceMean", [(2, 2, 2, 2, 2), np.int64([0, 2, 4])], (1, 2, 1, 2, 1))
    assert "Reduce one group of axes after the other" in objections(node, S3)[0]


def test_limits() -> None:
    assert objections(float_node("ReduceMean", [(2, 3)], (1, 1)), S3) == []
    assert "computed at run time" in objections(float_node("ReduceMean", [(2, 3), (1,)], (1, 1)), S3)[0]
    copying = float_node("ReduceMean", [(2, 3)], (2, 3), {"noop_with_empty_axes": 1})
    assert "Use Identity" in objections(copying, S3)[0]


@pytest.mark.parametrize("op_type", ["ReduceMax", "ReduceMin", "ReduceSum"])
@given(st.data(), st.integers(0, 1), FAMILIES)
def test_lowered_reductions_follow_the_layout(op_type: str, data: st.DataObject, keep: int, target: Target) -> None:
    rank = data.draw(st.integers(2, 4))
    shape = [1, 3, 2, 4][:rank]
    axes = data.draw(st.lists(st.integers(-rank, rank - 1), unique_by=lambda a: a % rank, max_size=rank))
    x = (np.arange(math.prod(shape)) % 5 - 2).astype(F).reshape(shape)
    inputs = [x, np.int64(axes)] if axes else [x]
    lowered = same_as_onnx(op_type, inputs, {"keepdims": keep}, target)
    assert [n.op_type for n in lowered.program.nodes if n.op_type != "DepthToSpace"] == [op_type]


def test_a_mean_over_the_image_needs_no_transpose() -> None:
    x = np.random.default_rng(1).integers(-128, 128, (1, 5, 3, 4)).astype(F)
    mean = x.mean(axis=(2, 3))
    lowered = lowered_around("ReduceMean", [x, np.int64([2, 3])], {"keepdims": 0}, P4, results=[mean])
    assert [node.op_type for node in lowered.program.nodes] == ["DepthToSpace", "ReduceMean"]
    assert lowered.program.constants["node_axes"].data.tolist() == [1, 2]
    (found,) = simulated(lowered, P4, {"x0": x.astype(np.int8)})
    assert np.abs(found - mean).max() <= 0.5


@pytest.mark.parametrize(("bits", "exponent", "legal"), [(8, -1, True), (8, 0, False), (16, -9, True), (16, -8, False)])
def test_exponentials_that_overflow_are_refused(bits: int, exponent: int, legal: bool) -> None:
    x = whole((2, 60), bits, np.random.default_rng(1))
    program = program_of("ReduceLogSumExp", [x, np.int64([1])], {}, exponents=(exponent, -2))
    found = violations(program, S3)
    assert legal == (found == [])
    assert legal or "subtracts no maximum" in found[0]
