"""Limits of the runtime, each with a node just within it and one just beyond."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.one_node import INTEGER, P4, S3, C, OneNode, every, float_node, lowered, objections, whole
from tinsmith.ops.everywhere import misfits
from tinsmith.ops.execution import call_of
from tinsmith.ops.prelu import can_wrap
from tinsmith.program import DType, Tensor
from tinsmith.simulator.interpreter import interpret
from tinsmith.simulator.legality import violations
from tinsmith.targets import PReluStyle, Target

WIDE = {DType.INT8: np.int8, DType.INT16: np.int16, DType.FLOAT: np.float32}


def everywhere(node: OneNode) -> list[str]:
    return misfits(call_of(node.program, node.program.nodes[0], node.feeds, node.target))


def fed(op_type: str, shape: tuple[int, ...], dtype: DType = DType.INT8, target: Target = S3, **more: Any) -> OneNode:
    """A node whose one input is zeros that occupy no memory."""
    return OneNode(op_type, target, dtype, 0, more).feed(np.broadcast_to(WIDE[dtype](0), shape))


# ---- every operator


@pytest.mark.parametrize("op_type", ["Equal", "Less", "MaxPool", "ReverseSequence", "LUT", "Gemm"])
def test_element_types_that_the_runtime_has_no_module_for(op_type: str) -> None:
    assert everywhere(fed(op_type, (1, 4), DType.INT16)) == []
    assert everywhere(fed(op_type, (1, 4), DType.FLOAT)) == [
        f"the runtime has no float32 {op_type}, only int16 and int8: convert the input before it."
    ]


def test_exponents_beyond_a_shift_of_32_bits() -> None:
    def relu(source: int, result: int) -> list[str]:
        return everywhere(OneNode("Relu", C, DType.INT8, result).feed(every(8), source))

    assert relu(-30, 30) == relu(30, -30) == []
    for source, result in ((31, 0), (0, -31), (-45, -45)):
        (reason,) = relu(source, result)
        assert "the runtime scales by 2**-30 … 2**30: scale the network's data" in reason
    weights = OneNode("Add", C, DType.INT8).feed(every(8)).constant(every(8), -50)
    assert everywhere(weights) == []


# ---- PRelu


@pytest.mark.parametrize(("bits", "target", "wraps"), [(8, P4, True), (16, S3, True), (8, S3, False), (16, C, False)])
def test_steep_slopes_wrap_on_some_chips(bits: int, target: Target, wraps: bool) -> None:
    def possible(*slopes: int, shift: int = 6) -> bool:
        return can_wrap(np.array(slopes), shift, bits, target)

    assert not possible(64, -63, 0, 10)
    assert possible(65, 0) is possible(3, -64) is wraps
    assert not possible(100, -100, shift=7)


@given(st.sampled_from([(P4, 8), (S3, 16)]), st.integers(0, 2**32 - 1))
def test_steep_slopes_are_lowered_to_nodes_that_saturate(form: tuple[Target, int], seed: int) -> None:
    target, bits = form
    rng = np.random.default_rng(seed)
    slopes = rng.uniform(-1.9, 1.9, (3, 1, 1)).astype(np.float32)
    slopes[int(rng.integers(3))] = 1.75
    node = float_node("PRelu", [(1, 3, 4, 5), slopes], (1, 3, 4, 5))
    program = lowered(node, {"in0": -4, "y": -4, "in1": -6}, bits, target)
    assert [n.op_type for n in program.nodes] == ["Relu", "Sub", "Mul", "Add"]
    assert violations(program, target) == []
    x = whole((1, 4, 5, 3), bits, rng)
    kind = PReluStyle.VECTOR_SATURATING
    alpha = np.clip(target.rounding.to_int(slopes * 64), -128 if bits == 8 else -32768, 127 if bits == 8 else 32767)
    plain = OneNode("PRelu", replace(target, prelu={8: kind, 16: kind}), DType.of(x.dtype), -4).feed(x, -4)
    expected = plain.constant(alpha.astype(x.dtype), -6).interpreted()
    np.testing.assert_array_equal(interpret(program, {"in0": x}, target)["y"], expected)


# ---- pools


POOLS = ["MaxPool", "AveragePool", "GlobalAveragePool"]


@pytest.mark.parametrize("op_type", POOLS)
def test_pools_take_one_sample(op_type: str) -> None:
    window: dict[str, Any] = {} if op_type.startswith("Global") else {"kernel_shape": (2, 2)}

    def pool(samples: int) -> OneNode:
        return fed(op_type, (samples, 4, 4, 8), **window)

    assert pool(1).broken_rules() == []
    assert pool(2).broken_rules() == ["it pools 2 samples, and the kernels walk through the first one only."]
    result = (1, 1) if op_type.startswith("Global") else (3, 3)
    assert objections(float_node(op_type, [(1, 8, 4, 4)], (1, 8, *result), window), S3) == []
    (message,) = objections(float_node(op_type, [(2, 8, 4, 4)], (2, 8, *result), window), S3)
    assert message.startswith("The runtime pools one sample; use a batch of 1")


def test_resize_takes_one_sample() -> None:
    def scaled(samples: int) -> list[str]:
        node = fed("Resize", (samples, 4, 4, 16), mode="nearest", coordinate_transformation_mode="asymmetric").absent()
        return node.constant(np.float32([1, 1, 2, 2])).broken_rules()

    assert scaled(1) == []
    assert scaled(2) == ["it resizes 2 samples, and the kernels walk through the first one only."]
    shapes: list[Any] = [(2, 16, 4, 4), None, np.float32([1, 1, 2, 2])]
    attributes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    assert objections(float_node("Resize", shapes, (2, 16, 8, 8), attributes), S3) == [
        "The runtime resizes one sample; use a batch of 1."
    ]


def test_padding_counts_whatever_the_file_says() -> None:
    def average(**more: Any) -> list[str]:
        return fed("AveragePool", (1, 4, 4, 8), kernel_shape=(3, 3), **more).broken_rules()

    assert average(pads=(1, 1, 1, 1), count_include_pad=1) == []
    assert average(pads=(0, 0, 0, 0), count_include_pad=0) == []
    (reason,) = average(pads=(1, 1, 1, 1), count_include_pad=0)
    assert "padding counts, though the file says count_include_pad = 0" in reason


@pytest.mark.parametrize(("dtype", "side"), [(DType.INT16, 256), (DType.INT8, 4096)])
def test_windows_are_summed_in_32_bits(dtype: DType, side: int) -> None:
    assert fed("GlobalAveragePool", (1, side, side - 1, 1), dtype).broken_rules() == []
    (reason,) = fed("GlobalAveragePool", (1, side, side, 1), dtype).broken_rules()
    assert reason == f"the sum over {side * side} elements can exceed the 32 bits it is kept in. Reduce in two steps."


# ---- sums of squares


@pytest.mark.parametrize("op_type", ["ReduceSumSquare", "ReduceL2"])
def test_squares_are_summed_in_32_bits_in_int8(op_type: str) -> None:
    def reduction(count: int, dtype: DType) -> list[str]:
        return fed(op_type, (1, count), dtype).constant(np.array([1], np.int64)).broken_rules()

    assert reduction(131071, DType.INT8) == reduction(1 << 20, DType.INT16) == reduction(1 << 20, DType.FLOAT) == []
    (reason,) = reduction(131072, DType.INT8)
    assert "the sum over 131072 elements can exceed the 32 bits" in reason


def test_rows_of_normalizations_are_summed_in_32_bits() -> None:
    def layer(count: int, dtype: DType) -> list[str]:
        return fed("LayerNormalization", (1, count), dtype, axis=-1).broken_rules()

    def rms(count: int, dtype: DType) -> list[str]:
        node = fed("RMSNormalization", (1, count), dtype, axis=-1)
        node.constants["weight"] = Tensor("weight", np.broadcast_to(np.float32(1), (count,)))
        node.inputs.append("weight")
        return node.broken_rules()

    assert layer(65535, DType.INT16) == layer(65536, DType.INT8) == layer(65536, DType.FLOAT) == []
    assert len(layer(65536, DType.INT16)) == len(layer(1 << 24, DType.INT8)) == 1
    assert rms(131071, DType.INT8) == rms(1 << 20, DType.INT16) == []
    assert len(rms(131072, DType.INT8)) == 1


# ---- remainders, scattering


def test_the_sign_of_a_remainder() -> None:
    def mod(**more: Any) -> list[str]:
        return fed("Mod", (1, 4), **more).feed(every(8)[:4]).broken_rules()

    assert mod(fmod=1) == []
    for attributes in ({}, {"fmod": 0}):
        (reason,) = mod(**attributes)
        assert "with the sign of the dividend, whatever fmod says: export it with fmod=1" in reason


@pytest.mark.parametrize(("indices", "inside"), [([[0, 4], [2, -5]], True), ([[3, 0]], False), ([[0, -6]], False)])
def test_updates_are_scattered_within_the_tensor(indices: list[list[int]], inside: bool) -> None:
    where = np.array(indices, np.int64)
    node = float_node("ScatterND", [(3, 5, 2), where, (len(indices), 2)], (3, 5, 2))
    found = objections(node, S3)
    assert found == ([] if inside else ["An index is outside the tensor it writes to. Correct the indices."])


# ---- recurrent layers


def recurrent(op_type: str, weights: int, target: Target, bits: int = 16, **more: Any) -> OneNode:
    gates, dtype = {"GRU": 3, "LSTM": 4}[op_type], DType.INT16 if bits == 16 else DType.INT8
    node = OneNode(op_type, target, dtype, -9, {"hidden_size": 2, "linear_before_reset": 1, **more})
    node.feed(np.zeros((3, 1, 520), INTEGER[bits]))
    node.constant(np.full((1, 2 * gates, 520), weights, INTEGER[bits]))
    return node.constant(np.zeros((1, 2 * gates, 2), INTEGER[bits]))


def reasons(node: OneNode) -> list[str]:
    """Without the one that only asks for names of all outputs."""
    return [reason for reason in node.broken_rules() if "need names" not in reason]


@pytest.mark.parametrize("op_type", ["GRU", "LSTM"])
def test_dot_products_of_int16_saturate_at_40_bits(op_type: str) -> None:
    limit = (1 << 24) // 520
    assert reasons(recurrent(op_type, limit, P4)) == reasons(recurrent(op_type, 32767, C)) == []
    (reason,) = reasons(recurrent(op_type, limit + 1, P4))
    assert reason.startswith(f"the dot products of input 1 can reach {(limit + 1) * 520 << 15} and saturate at 40 bits")
    assert reasons(recurrent(op_type, 127, P4, 8)) == []


@pytest.mark.parametrize("op_type", ["GRU", "LSTM"])
def test_what_recurrent_layers_do_not_read(op_type: str) -> None:
    node = recurrent(op_type, 1, S3, clip=2.5).absent()
    node.constant(np.array([3], np.int64))
    assert reasons(node) == ["the runtime does not read sequence_lens and clip."]
    peepholes = recurrent(op_type, 1, S3).absent().absent().absent().absent().constant(np.zeros((1, 6), np.int16))
    assert reasons(peepholes) == ["the runtime does not read the peepholes P."]
