from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.linear_cases import (
    TARGETS,
    both,
    integers,
    lowered,
    matmul,
    operand,
    packed,
    refusals,
    run_lowered,
    shifted,
)
from tinsmith.errors import ProgramError
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode
from tinsmith.quant.format import Format
from tinsmith.simulator.compiled import GraphPart, compile_program
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import find


@st.composite
def shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that multiply: vectors, matrices, batches that broadcast."""
    inner = draw(st.integers(1, 70))
    batch = draw(st.lists(st.integers(1, 3), max_size=2))
    left_batch = [draw(st.sampled_from([n, 1])) for n in batch][draw(st.integers(0, len(batch))) :]
    right_batch = [n if n in left_batch else draw(st.sampled_from([n, 1])) for n in batch]
    left = draw(st.sampled_from([(inner,), (*left_batch, draw(st.integers(1, 5)), inner)]))
    right = draw(st.sampled_from([(inner,), (*right_batch, inner, draw(st.integers(1, 40)))]))
    return left, right


@given(shapes(), st.sampled_from(TARGETS), st.sampled_from([8, 16]), st.booleans(), st.integers(0, 2**32))
def test_random_products(
    both_shapes: tuple[tuple[int, ...], tuple[int, ...]], name: str, bits: int, constant: bool, seed: int
) -> None:
    target, rng = find(name), np.random.default_rng(seed)
    left, right = (integers(rng, shape, bits, scale=0.3) for shape in both_shapes)
    shift = int(rng.integers(0, 9 if bits == 8 else 18))
    program = matmul(left, right, target=target, bits=bits, shift=shift, constant=constant)
    inputs = {"x": left} if constant else {"x": left, "w": packed(right, target, bits)}
    found = both(program, inputs, target)
    total = np.asarray(np.matmul(left.astype(np.int64), right.astype(np.int64)))
    assert found.tolist() == shifted(total, shift, target, bits).tolist()


def float_matmul(left: tuple[int, ...], right: tuple[int, ...], const: np.ndarray[Any, Any] | None = None) -> FloatNode:
    result = np.matmul(np.zeros(left), np.zeros(right)).shape
    return FloatNode("MatMul", "matmul", (operand("x", left), operand("w", right, const)), (operand("y", result),))


@given(
    shapes(), st.sampled_from(TARGETS), st.sampled_from([8, 16]), st.booleans(), st.booleans(), st.integers(0, 2**32)
)
def test_lowered_products(
    both_shapes: tuple[tuple[int, ...], tuple[int, ...]], name: str, bits: int, constant: bool, relu: bool, seed: int
) -> None:
    target, rng = find(name), np.random.default_rng(seed)
    left, right = (integers(rng, shape, bits, scale=0.3) for shape in both_shapes)
    node = float_matmul(*both_shapes, np.ldexp(right.astype(np.float64), -6) if constant else None)
    assert refusals(node, target) == []
    weights = Format(bits, (-6,)) if constant else None
    found = lowered(node, target, bits, {"x": -4, "w": -6, "y": -3}, weights, relu=relu)
    inputs = {"x": left} if constant else {"x": left, "w": right}
    total = np.asarray(np.matmul(left.astype(np.int64), right.astype(np.int64)))
    result = run_lowered(found, inputs, target)
    assert result.tolist() == shifted(total, 7, target, bits, relu=relu).tolist()


def test_nodes_that_pack_a_computed_right_side() -> None:
    def nodes(name: str, filters: int) -> list[str]:
        node = float_matmul((5, 10), (10, filters))
        found = lowered(node, find(name), 8, {"x": 0, "w": 0, "y": 3}).program.nodes
        return [n.op_type for n in found if n.op_type != "MatMul"]

    mixed = ["Transpose", "Slice", "Reshape", "Transpose", "Reshape", "Slice", "Concat", "Reshape"]
    assert nodes("esp32s3", 16) == []
    assert nodes("esp32s3", 1) == []
    assert nodes("esp32s3", 32) == ["Reshape", "Transpose", "Reshape"]
    assert nodes("esp32s3", 7) == ["Transpose", "Reshape"]
    assert nodes("esp32p4", 35) == mixed
    assert nodes("c", 32) == ["Transpose", "Reshape"]


def test_what_the_file_records(rng: np.random.Generator) -> None:
    node = float_matmul((3, 10), (2, 10, 35), rng.normal(0, 1, (2, 10, 35)))
    program = lowered(node, find("esp32s3"), 8, {"x": -5, "y": 0}, Format(8, (-5,))).program
    (matmul_node,) = program.nodes
    assert matmul_node.attributes == {"activation": "Linear", "quant_type": "S8"}
    assert program.constants["w"].shape == (2, 10, 35)
    assert program.constants["w"].doc == "layout ==> (N/16)HWC16_UNALIGNED"


@pytest.mark.parametrize("constant", [True, False])
def test_lanes_saturate_and_the_compiled_form_notices(constant: bool) -> None:
    target = find("esp32s3")
    x, right = np.full((2, 80), 127, np.int8), np.full((80, 17), 127, np.int8)
    x[:, 60:], exact = -128, 60 * 127**2 - 20 * 128 * 127
    program = matmul(x, right, target=target, bits=8, shift=13, constant=constant)
    inputs = {"x": x} if constant else {"x": x, "w": packed(right, target, 8)}
    found = both(program, inputs, target)
    assert found[1, :16].tolist() == [(2**19 - 1 - 20 * 128 * 127 + 2**12) >> 13] * 16
    assert found[1, 16] == min(127, (exact + 2**12) >> 13)
    (part,) = compile_program(program, target).parts
    assert isinstance(part, GraphPart)
    assert len(part.guards) == 1


def test_products_beyond_float32(rng: np.random.Generator) -> None:
    target = find("c")
    x, right = np.full((1, 2000), -128, np.int8), np.full((2000, 3), -128, np.int8)
    x[0, 0], right[1, 2] = 1, 3
    program = matmul(x, right, target=target, bits=8, shift=19, constant=True)
    total = x.astype(np.int64) @ right.astype(np.int64)
    assert both(program, {"x": x}, target).tolist() == shifted(total, 19, target, 8).tolist()


def test_shapes_that_do_not_multiply(rng: np.random.Generator) -> None:
    target = find("c")
    x = integers(rng, (2, 4), 8)
    program = matmul(x, integers(rng, (5, 3), 8), target=target, bits=8)
    with pytest.raises(ProgramError, match="do not multiply"):
        interpret(program, {"x": x}, target)


def test_constraints_and_cost() -> None:
    node = float_matmul((1, 1, 1, 2, 3), (3, 4))
    assert "up to four dimensions" in " ".join(refusals(node, find("c")))
    operator = operators()["MatMul"]
    node = float_matmul((2, 5, 3), (3, 4))
    assert operator.cost(node).macs == 2 * 5 * 4 * 3
    assert operator.ports(node, find("esp32p4")).product == (0, 1)
