"""Softmax and LogSoftmax, against the manual's steps one number after the other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.moving import lowered_around, program_of, run
from tests.ops.one_node import FAMILIES, P4, S3, float_node, whole
from tinsmith.errors import ProgramError
from tinsmith.ops import find
from tinsmith.ops.ports import Kind
from tinsmith.program import DType
from tinsmith.simulator.compiled import NodePart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target

F = np.float32
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)
TYPES = st.sampled_from([np.int8, np.int16, np.float32])


def exponential(x: np.float32) -> np.float32:
    return F(math.exp(float(x)))


def row(values: list[float], exponent: int, dtype: type, op_type: str) -> list[np.float32]:
    x = [F(v) if dtype == np.float32 else F(F(v) * F(2.0**exponent)) for v in values]
    if dtype != np.int8:
        x = [F(v - max(x)) for v in x]
    total = F(0)
    for v in x:
        total = F(total + exponential(v))
    if op_type == "Softmax":
        return [F(exponential(v) / total) for v in x]
    return [F(v - F(math.log(float(total)))) for v in x]


def expected(x: np.ndarray, axis: int, exponent: int, op_type: str) -> np.ndarray:
    rows = np.moveaxis(x, axis, -1)
    found = [row(r, exponent, x.dtype.type, op_type) for r in rows.reshape(-1, rows.shape[-1]).tolist()]
    return np.moveaxis(np.array(found, F).reshape(rows.shape), -1, axis)


@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax"])
@given(SHAPES, st.data(), TYPES, st.integers(-12, -1), FAMILIES, SEEDS)
def test_the_sheets_steps(
    op_type: str, shape: list[int], data: st.DataObject, dtype: type, exponent: int, target: Target, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = rng.normal(size=shape).astype(F) if dtype == F else whole(shape, 8 if dtype == np.int8 else 16, rng)
    program = program_of(
        op_type, [x], {"axis": axis}, dtype=DType.FLOAT, exponents=(exponent, 0), spatial=len(shape) == 4
    )
    compiles = op_type == "Softmax" and dtype != F
    (found,) = run(program, target, {"x0": x}, whole=compiles)
    assert found.tolist() == expected(x, axis, exponent, op_type).tolist()
    assert compiles or [type(part) for part in compile_program(program, target).parts][-1] is NodePart


def test_every_power_of_the_int16_table() -> None:
    x = np.arange(-32768, 32768).astype(np.int16).reshape(-1, 2)
    x[:, 1] = 32767
    (found,) = run(program_of("Softmax", [x], {}, dtype=DType.FLOAT, exponents=(-13, 0)), P4, {"x0": x})
    assert found.dtype == F
    assert found.tolist() == expected(x, -1, -13, "Softmax").tolist()


def test_long_rows_are_summed_one_after_the_other() -> None:
    x = whole((3, 3000), 8, np.random.default_rng(3))
    (found,) = run(program_of("Softmax", [x], {"axis": 1}, dtype=DType.FLOAT, exponents=(-6, 0)), S3, {"x0": x})
    assert found.tolist() == expected(x, 1, -6, "Softmax").tolist()


def test_int8_overflows_beyond_its_largest_exponent() -> None:
    x = np.int8([[127, 0]])
    program = program_of("Softmax", [x], {}, dtype=DType.FLOAT, exponents=(0, 0))
    assert "int8 has no maximum subtracted" in violations(program, S3)[0]
    assert not np.isfinite(interpret(program, {"x0": x}, S3)["y0"]).all()
    wide = program_of("Softmax", [x.astype(np.int16)], {}, dtype=DType.FLOAT, exponents=(0, 0))
    assert violations(wide, S3) == []
    for exponent, broken in ((-1, 0), (0, 1)):
        program = program_of("LogSoftmax", [x], {}, dtype=DType.FLOAT, exponents=(exponent, 0))
        assert len(violations(program, S3)) == broken


def test_hostile_axis() -> None:
    x = np.zeros((1, 2), np.int8)
    with pytest.raises(ProgramError, match="axis 2 does not exist"):
        interpret(program_of("Softmax", [x], {"axis": 2}, dtype=DType.FLOAT), {"x0": x}, S3)


@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(("axis", "moved"), [(1, 3), (2, 1), (-1, 2), (None, 2)])
def test_the_axis_follows_the_layout(op_type: str, axis: int | None, moved: int) -> None:
    x = np.zeros((1, 2, 3, 4), F)
    attributes = {} if axis is None else {"axis": axis}
    lowered = lowered_around(op_type, [x], attributes, S3, results=[x], exponents={"x0": -4, "s0": -4})
    node = lowered.program.nodes[-1]
    assert (node.op_type, node.attributes["axis"], node.attributes["quant_type"]) == (op_type, moved, "S8")
    assert lowered.program.values["y0"].dtype is DType.FLOAT
    ports = find(op_type).ports(float_node(op_type, [(1, 2)], (1, 2)), S3)
    assert ports.outputs[0].kind is Kind.FLOAT
    assert ports.largest_input_exponent == -1
