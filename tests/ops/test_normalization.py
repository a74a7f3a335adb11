"""LayerNormalization, RMSNormalization, LpNormalization: the manual's float steps, one number after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.moving import lowered_around, onnx_says, program_of, run, simulated
from tests.ops.one_node import FAMILIES, P4, S3, WIDTHS, float_node, objections, whole
from tests.ops.test_reduce import nearest, newton
from tinsmith.errors import ProgramError
from tinsmith.ops.inference import infer_shapes
from tinsmith.program import Program, Tensor
from tinsmith.simulator.compiled import NodePart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target

F = np.float32
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def stored(v: np.float32, bits: int, target: Target) -> int:
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, nearest(v, target)))


def with_exponents(program: Program, **exponents: int) -> Program:
    """The program with the exponents of some constants replaced."""
    from dataclasses import replace

    constants = {
        name: Tensor(name, t.data, (exponents[name],)) if name in exponents else t
        for name, t in program.constants.items()
    }
    return replace(program, constants=constants)


def layer_row(
    row: list[int], gamma: list[Any], beta: list[Any], epsilon: float, e_x: int, e_y: int, bits: int, target: Target
) -> list[int]:
    n, scale = F(len(row)), F(2.0**e_x)
    mean = F(sum(row) / len(row))
    variance = F(0)
    for x in row:
        d = F(F(x) - mean)
        variance = F(variance + F(d * d))
    mean = F(mean * scale)
    variance = F(F(variance * F(2.0 ** (2 * e_x))) / n)
    inverse = F(F(1) / newton(F(variance + F(epsilon))))
    found = []
    for x, g, b in zip(row, gamma, beta, strict=True):
        y = F(F(F(F(x) * scale) - mean) * inverse)
        found.append(stored(F(F(F(y * g) + b) * F(2.0**-e_y)), bits, target))
    return found


@given(SHAPES, st.data(), WIDTHS, st.integers(0, 2), st.sampled_from([1e-5, 0.1]), FAMILIES, SEEDS)
def test_layer_normalization(
    shape: list[int], data: st.DataObject, bits: int, extras: int, epsilon: float, target: Target, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = whole(shape, bits, rng)
    rows = x.reshape(-1, math.prod(shape[axis:]))
    gamma, beta = (whole(x.shape[axis % len(shape) :], bits, rng) for _ in range(2))
    inputs = [x, gamma, beta][: 1 + extras]
    e_x, e_g, e_b, e_y = 2 - bits, 3 - bits, 1 - bits, 4 - bits
    attributes = {"axis": axis, "epsilon": epsilon}
    program = with_exponents(program_of("LayerNormalization", inputs, attributes, exponents=(e_x, e_y)), x1=e_g, x2=e_b)
    (found,) = run(program, target, {"x0": x}, whole=False)
    g = [F(v) * F(2.0**e_g) for v in gamma.ravel()] if extras else [F(1)] * rows.shape[1]
    b = [F(v) * F(2.0**e_b) for v in beta.ravel()] if extras > 1 else [F(0)] * rows.shape[1]
    wanted = [layer_row(row, g, b, epsilon, e_x, e_y, bits, target) for row in rows.tolist()]
    assert found.reshape(rows.shape).tolist() == wanted
    assert [type(part) for part in compile_program(program, target).parts] == [NodePart]


@given(SHAPES, st.data(), WIDTHS, st.sampled_from([1e-6, 0.1]), FAMILIES, SEEDS)
def test_rms_normalization(
    shape: list[int], data: st.DataObject, bits: int, epsilon: float, target: Target, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    axis = data.draw(st.integers(0, len(shape) - 1))
    x, e_x, e_y = whole(shape, bits, rng), 2 - bits, data.draw(st.integers(3 - bits, 5 - bits))
    weight = rng.normal(1, 0.3, shape[axis:]).astype(F)
    attributes = {"axis": axis, "epsilon": epsilon}
    (found,) = run(program_of("RMSNormalization", [x, weight], attributes, exponents=(e_x, e_y)), target, {"x0": x})
    rows = x.reshape(-1, weight.size)
    for got, row in zip(found.reshape(rows.shape).tolist(), rows.tolist(), strict=True):
        mean = F(F(F(sum(v * v for v in row)) * F(2.0 ** (2 * e_x))) / F(len(row)))
        factor = F(F(F(1) / np.sqrt(F(mean + F(epsilon)))) * F(2.0 ** (e_x - e_y)))
        assert got == [stored(F(F(F(v) * factor) * w), bits, target) for v, w in zip(row, weight.ravel(), strict=True)]


def lp_row(row: list[int], p: int, last: bool, e_y: int, bits: int, target: Target) -> list[int]:
    total = F(0)
    for v in row:
        total = F(total + F(abs(v)))
    total = F(sum(v * v for v in row)) if p == 2 else total
    if total == 0:
        return [0] * len(row)
    inverse, unit = F(F(1) / (np.sqrt(total) if p == 2 else total)), F(2.0**-e_y)
    scaled = [F(F(v) * F(inverse * unit)) if last else F(F(F(v) * inverse) * unit) for v in row]
    return [stored(v, bits, target) for v in scaled]


@given(SHAPES, st.data(), st.sampled_from([1, 2]), WIDTHS, st.integers(0, 3), FAMILIES, SEEDS)
def test_lp_normalization(
    shape: list[int], data: st.DataObject, p: int, bits: int, up: int, target: Target, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x, e_y = whole(shape, bits, rng), up - bits
    x[rng.random(shape) < 0.4] = 0
    attributes = {"axis": axis, "p": p}
    program = program_of("LpNormalization", [x], attributes, exponents=(-3, e_y), spatial=len(shape) == 4)
    (found,) = run(program, target, {"x0": x})
    rows, got = np.moveaxis(x, axis, -1), np.moveaxis(found, axis, -1)
    last = axis % len(shape) == len(shape) - 1
    wanted = [lp_row(r, p, last, e_y, bits, target) for r in rows.reshape(-1, rows.shape[-1]).tolist()]
    assert got.reshape(-1, rows.shape[-1]).tolist() == wanted


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("target", [S3, P4], ids=lambda t: t.name)
def test_long_rows(p: int, target: Target) -> None:
    x = whole((2, 1500), 16, np.random.default_rng(p))
    program = program_of("LpNormalization", [x], {"p": p}, exponents=(-3, -18))
    (found,) = run(program, target, {"x0": x}, whole=p == 2)
    assert found.tolist() == [lp_row(row, p, True, -18, 16, target) for row in x.tolist()]
    weight = np.ones(1500, F)
    run(program_of("RMSNormalization", [x, weight], {}, exponents=(-14, -13)), target, {"x0": x})


@pytest.mark.parametrize("op_type", ["LayerNormalization", "RMSNormalization", "LpNormalization"])
def test_floats(op_type: str) -> None:
    rng = np.random.default_rng(2)
    x, weight = rng.normal(size=(3, 40)).astype(F), rng.normal(1, 0.2, 40).astype(F)
    inputs = [x] if op_type == "LpNormalization" else [x, weight]
    program = program_of(op_type, inputs, {"axis": -1})
    (found,) = run(program, P4, {"x0": x}, whole=False)
    reference = x.astype(np.float64)
    if op_type == "LayerNormalization":
        reference = reference - reference.mean(1, keepdims=True)
        reference = reference / np.sqrt(reference.var(1, keepdims=True) + 1e-5) * weight
    elif op_type == "RMSNormalization":
        reference = reference / np.sqrt((reference**2).mean(1, keepdims=True) + 1e-5) * weight
    else:
        reference = reference / np.sqrt((reference**2).sum(1, keepdims=True))
    assert found.dtype == F
    assert np.abs(found - reference).max() < 1e-5
    zero = program_of("LpNormalization", [np.zeros((1, 4), F)], {"p": 1})
    assert run(zero, P4, {"x0": np.zeros((1, 4), F)}, whole=False)[0].tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("op_type", "extra", "attributes", "message"),
    [
        ("LayerNormalization", [np.int8([1, 2])], {}, "input 1 has 2 elements for rows of 4"),
        ("LayerNormalization", [], {"axis": 3}, "axis 3 does not exist"),
        ("RMSNormalization", [], {}, r"weight \(input 1\) is missing"),
        ("RMSNormalization", [np.ones(3, F)], {}, "rows of 4"),
        ("LpNormalization", [], {"p": 3}, "p = 3: the runtime has 1 and 2"),
        ("LpNormalization", [], {"axis": -3}, "axis -3 does not exist"),
    ],
)
def test_hostile_norms(op_type: str, extra: list[Any], attributes: dict[str, int], message: str) -> None:
    x = np.zeros((2, 4), np.int8)
    with pytest.raises(ProgramError, match=message):
        interpret(program_of(op_type, [x, *extra], attributes), {"x0": x}, S3)


def test_nothing_to_normalize() -> None:
    x = np.zeros((2, 0), np.int8)
    with pytest.raises(ProgramError, match="nothing to normalize"):
        interpret(program_of("LayerNormalization", [x], {}), {"x0": x}, S3)


def test_shapes_without_computing() -> None:
    x = np.zeros((2, 3), np.int8)
    for op_type in ("LayerNormalization", "LpNormalization"):
        assert infer_shapes(program_of(op_type, [x], {}), S3)["y0"] == (2, 3)


def test_types_of_the_weights() -> None:
    x = np.zeros((2, 4), np.int8)
    found = [
        violations(program_of(op_type, [x, np.ones(4, dtype)], {}), S3)
        for op_type, dtype in (("RMSNormalization", np.int8), ("LayerNormalization", np.int16))
    ]
    assert [message for (message,) in found] == [
        "RMSNormalization 'node': the weight is int8, and the runtime reads it as float32.",
        "LayerNormalization 'node': input 1 is int16, and the runtime reads it as int8, like the input.",
    ]
    assert violations(program_of("RMSNormalization", [x, np.ones(4, F)], {}), S3) == []


def test_limits() -> None:
    ones = np.ones(4, F)
    assert objections(float_node("LayerNormalization", [(2, 4), ones, ones], (2, 4)), S3) == []
    short = float_node("LayerNormalization", [(2, 4), np.ones(1, F)], (2, 4))
    assert "Expand them in the model" in objections(short, S3)[0]
    assert objections(float_node("RMSNormalization", [(2, 3, 4), np.ones(12, F)], (2, 3, 4), {"axis": 1}), S3) == []
    assert objections(float_node("LpNormalization", [(2, 4)], (2, 4), {"p": 1}), S3) == []
    assert "p = 1 and p = 2" in objections(float_node("LpNormalization", [(2, 4)], (2, 4), {"p": 3}), S3)[0]
    node = float_node("LayerNormalization", [(2, 4), ones], (2, 4))
    two = type(node)(node.op_type, node.name, node.inputs, (*node.outputs, *node.outputs), {})
    assert "not mean and deviation" in objections(two, S3)[0]


@pytest.mark.parametrize("op_type", ["LayerNormalization", "RMSNormalization"])
def test_lowered_in_the_onnx_order(op_type: str) -> None:
    rng = np.random.default_rng(4)
    x, weight = rng.integers(-128, 128, (1, 2, 3, 8)).astype(F), np.round(rng.normal(1, 0.3, 8) * 64).astype(F) / 64
    attributes = {"axis": -1, "epsilon": 1e-5, "stash_type": 1}
    real = x / 64
    norm = real - real.mean(-1, keepdims=True) if op_type == "LayerNormalization" else real
    wanted = norm / np.sqrt((norm**2).mean(-1, keepdims=True) + 1e-5) * weight
    exponents = {"x0": -6, "s0": -6, "x1": -6, "y0": -5}
    lowered = lowered_around(op_type, [x, weight], attributes, P4, results=[wanted], exponents=exponents)
    node = lowered.program.nodes[-1]
    assert [n.op_type for n in lowered.program.nodes] == ["DepthToSpace", "Transpose", op_type]
    assert lowered.program.constants["x1"].data.dtype == (np.int8 if op_type == "LayerNormalization" else F)
    assert node.attributes["axis"] == -1
    (found,) = simulated(lowered, P4, {"x0": x.astype(np.int8)})
    assert np.abs(found / 32.0 - np.clip(wanted, -4, 127 / 32)).max() <= 0.5 / 32 + 1e-4


@pytest.mark.parametrize(("axis", "moved"), [(1, 3), (-1, 2), (None, 2)])
def test_lp_normalization_follows_the_layout(axis: int | None, moved: int) -> None:
    x = np.random.default_rng(6).integers(-128, 128, (1, 4, 2, 3)).astype(F)
    attributes = {} if axis is None else {"axis": axis}
    (wanted,) = onnx_says("LpNormalization", [x], attributes)
    lowered = lowered_around("LpNormalization", [x], attributes, P4, results=[wanted], exponents={"y0": -7})
    assert [n.op_type for n in lowered.program.nodes] == ["DepthToSpace", "LpNormalization"]
    assert lowered.program.nodes[-1].attributes["axis"] == moved
    (found,) = simulated(lowered, P4, {"x0": x.astype(np.int8)})
    assert np.abs(found / 128.0 - np.minimum(wanted, 127 / 128)).max() <= 0.5 / 128 + 1e-5
