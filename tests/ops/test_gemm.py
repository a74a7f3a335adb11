from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.linear_cases import TARGETS, both, gemm, integers, lowered, operand, refusals, run_lowered, shifted
from tinsmith.errors import ProgramError
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode
from tinsmith.quant.format import Format
from tinsmith.simulator.interpreter import interpret
from tinsmith.targets import find


@given(st.sampled_from(TARGETS), st.sampled_from([8, 16]), st.booleans(), st.integers(0, 2**32))
def test_random_products(name: str, bits: int, biased: bool, seed: int) -> None:
    target, rng = find(name), np.random.default_rng(seed)
    channels, filters = int(rng.integers(1, 70)), int(rng.integers(1, 40))
    x = integers(rng, [*rng.integers(1, 4, int(rng.integers(0, 3))), channels], bits)
    matrix = integers(rng, (channels, filters), bits, scale=0.2)
    bias = rng.integers(-(2**18), 2**18, filters).astype(np.int32 if bits == 8 else np.int64) if biased else None
    shift = int(rng.integers(0, 8 if bits == 8 else 16))
    found = both(gemm(x, matrix, bias, target=target, bits=bits, shift=shift), {"x": x}, target)
    total = x.astype(np.int64) @ matrix.astype(np.int64) + (0 if bias is None else bias)
    assert found.tolist() == shifted(total, shift, target, bits).tolist()


def test_vectors_saturate_and_the_tail_does_not() -> None:
    target = find("esp32s3")
    x, matrix = np.full((1, 80), 127, np.int8), np.full((80, 17), 127, np.int8)
    x[0, 60:], exact = -128, 60 * 127**2 - 20 * 128 * 127
    found = both(gemm(x, matrix, None, target=target, bits=8, shift=13), {"x": x}, target)
    assert found[0, :16].tolist() == [(2**19 - 1 - 20 * 128 * 127 + 2**12) >> 13] * 16
    assert found[0, 16] == min(127, (exact + 2**12) >> 13)


def float_gemm(weights: np.ndarray[Any, Any], bias: np.ndarray[Any, Any] | None, **attributes: Any) -> FloatNode:
    channels, filters = weights.shape[::-1] if attributes.get("transB") else weights.shape
    operands = [operand("x", (2, channels)), operand("w", weights.shape, weights)]
    if bias is not None:
        operands.append(operand("b", bias.shape, bias))
    return FloatNode("Gemm", "gemm", tuple(operands), (operand("y", (2, filters)),), attributes)


@given(
    st.sampled_from(TARGETS),
    st.sampled_from([8, 16]),
    st.integers(0, 1),
    st.sampled_from([None, (), (1,), (1, 1), (-1,), (1, -1)]),
    st.integers(0, 2**32),
)
def test_lowered_products(name: str, bits: int, turned: int, bias_shape: tuple[int, ...] | None, seed: int) -> None:
    target, rng = find(name), np.random.default_rng(seed)
    channels, filters = int(rng.integers(1, 30)), int(rng.integers(1, 30))
    integer_weights = integers(rng, (channels, filters), bits, scale=0.3)
    exponents = tuple(int(e) for e in rng.integers(-7, -4, filters)) if target.per_channel else (-5,)
    real = np.ldexp(integer_weights.astype(np.float64), np.asarray(exponents, dtype=np.int32))
    bias = None
    if bias_shape is not None:
        bias = rng.normal(0, 2, [filters if n == -1 else n for n in bias_shape])
    node = float_gemm(real.T if turned else real, bias, transB=turned)
    assert refusals(node, target) == []
    port = operators()["Gemm"].ports(node, target).inputs[1]
    assert port.axis == 1 - turned
    chosen = Format(bits, exponents, port.axis if target.per_channel else None)
    found = lowered(node, target, bits, {"x": -4, "y": 1}, chosen)
    (gemm_node,) = found.program.nodes
    assert gemm_node.attributes["transB"] == 0
    assert found.program.constants["w"].shape == (1, 1, channels, filters)
    x = integers(rng, (2, channels), bits)
    stored = np.zeros(filters, np.int64) if bias is None else found.program.constants["b"].data
    total = x.astype(np.int64) @ integer_weights.astype(np.int64) + stored
    expected = shifted(total, 5 - np.asarray(exponents), target, bits)
    assert run_lowered(found, {"x": x}, target).tolist() == expected.tolist()


def test_files_the_runtime_cannot_run(rng: np.random.Generator) -> None:
    target = find("c")
    x = integers(rng, (1, 4), 8)
    good = gemm(x, integers(rng, (4, 3), 8), None, target=target, bits=8)
    node = good.nodes[0]
    for attributes in ({"transB": 1}, {"alpha": 2.0}, {"transA": 1}):
        broken = replace(good, nodes=(replace(node, attributes={**node.attributes, **attributes}),))
        with pytest.raises(ProgramError, match="ignores transA, transB, alpha and beta"):
            interpret(broken, {"x": x}, target)
    constants = {"w": replace(good.constants["w"], data=good.constants["w"].data.reshape(4, 3))}
    with pytest.raises(ProgramError, match="not packed as"):
        interpret(replace(good, constants=constants), {"x": x}, target)


def test_constraints(rng: np.random.Generator) -> None:
    target, weights = find("esp32s3"), rng.normal(0, 1, (3, 3))
    for attributes in ({"alpha": 0.5}, {"transA": 1}):
        assert "no transA, alpha or beta" in " ".join(refusals(float_gemm(weights, None, **attributes), target))
    assert refusals(float_gemm(weights, None, beta=0.5), target) == []
    assert "no transA, alpha or beta" in " ".join(refusals(float_gemm(weights, np.zeros(3), beta=0.5), target))
    assert "one element per output channel" in " ".join(refusals(float_gemm(weights, np.zeros((3, 1))), target))


def test_cost(rng: np.random.Generator) -> None:
    node = float_gemm(rng.normal(0, 1, (4, 3)), None)
    assert operators()["Gemm"].cost(node).macs == 2 * 4 * 3
