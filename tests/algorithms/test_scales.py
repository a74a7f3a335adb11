"""The chip's hard rules hold in every program, whatever the weights; and the choices are the ones stated."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import tinsmith
from tests.e2e.random_models import models
from tinsmith.algorithms.weights import least_error
from tinsmith.errors import ProgramError, QuantizationError
from tinsmith.program import Program
from tinsmith.targets import find

TARGETS = ["esp32s3", "esp32p4", "c"]


def _exponents(program: Program, name: str) -> tuple[int, ...]:
    if name in program.constants:
        return program.constants[name].exponents
    return program.values[name].exponents


def broken_rules(program: Program, target_name: str) -> list[str]:
    """An independent check of file format §4's rules 1 to 3 on the finished program."""
    target = find(target_name)
    found = []
    for node in program.nodes:
        if node.op_type in ("Conv", "Gemm", "MatMul", "Mul"):
            out = program.values[node.outputs[0]]
            if not out.dtype.quantized:
                continue
            first, second = (_exponents(program, name) for name in node.inputs[:2])
            shifts = [out.exponent - first[0] - e for e in second]
            if min(shifts) < 0 or max(shifts) > 31:
                found.append(f"{node.name}: shift {min(shifts)}…{max(shifts)}")
            if len(node.inputs) > 2 and node.inputs[2]:
                bias = program.constants[node.inputs[2]]
                limit = 2 ** (target.linear[out.dtype.bits].bias_bits - 1)
                values = bias.data.astype(object)
                if values.min() < -limit or values.max() > limit - 1:
                    found.append(f"{node.name}: bias {values.min()}…{values.max()}")
                if bias.exponents != tuple(first[0] + e for e in second):
                    found.append(f"{node.name}: bias exponent")
        if node.op_type in ("Add", "Sub", "Concat", "MaxPool", "Reshape", "Slice", "Transpose", "Clip"):
            out = program.values[node.outputs[0]]
            count = {"Add": 2, "Sub": 2, "Concat": len(node.inputs)}.get(node.op_type, 1)
            for name in node.inputs[:count]:
                if out.dtype.quantized and _exponents(program, name) != out.exponents:
                    found.append(f"{node.name}: {name} has another exponent")
        if node.op_type == "RequantizeLinear":
            source, out = program.values[node.inputs[0]], program.values[node.outputs[0]]
            if out.exponent < source.exponent and out.dtype.bits <= source.dtype.bits:
                found.append(f"{node.name}: left shift")
    return found


@settings(max_examples=40)
@given(
    model=models(),
    target=st.sampled_from(TARGETS),
    bits=st.sampled_from([8, 16]),
    scale=st.sampled_from([1e-4, 1e-2, 1.0, 30.0]),
    calibration=st.sampled_from(["mse", "minmax"]),
)
def test_rules_hold_by_construction(
    model: onnx.ModelProto, target: str, bits: int, scale: float, calibration: str
) -> None:
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    data = (np.random.default_rng(3).standard_normal((3, *shape[1:])) * scale).astype(np.float32)
    try:
        program = tinsmith.quantize(model, data, target, bits=bits, calibration=calibration).program
    except QuantizationError as refusal:  # logits beyond what an int8 Softmax can exponentiate
        if "overflows beyond -1" in str(refusal):
            return
        raise
    assert broken_rules(program, target) == []


def _conv(weights: np.ndarray, bias: np.ndarray) -> onnx.ModelProto:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], name="conv", kernel_shape=[1, 1])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, weights.shape[1], 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, weights.shape[0], 4, 4])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize("target", TARGETS)
def test_a_large_bias_raises_the_weights_exponent_until_it_fits(target: str) -> None:
    weights = np.full((16, 8, 1, 1), 0.01, dtype=np.float32)
    bias = np.full(16, 500.0, dtype=np.float32)
    data = np.random.default_rng(0).uniform(-1, 1, (4, 8, 4, 4)).astype(np.float32)
    quantized = tinsmith.quantize(_conv(weights, bias), data, target)
    assert broken_rules(quantized.program, target) == []
    found = tinsmith.dequantize(quantized.program, quantized.simulate(data))["y"]
    assert np.abs(found - 500.0).max() <= 8.0


def test_a_dead_channel_takes_its_neighbours_exponent_on_chips_with_one_per_channel() -> None:
    weights = np.random.default_rng(1).uniform(-0.5, 0.5, (16, 8, 1, 1)).astype(np.float32)
    weights[5] = 0
    data = np.random.default_rng(0).uniform(-1, 1, (4, 8, 4, 4)).astype(np.float32)
    program = tinsmith.quantize(_conv(weights, np.zeros(16, np.float32)), data, "esp32p4").program
    exponents = program.constants["w"].exponents
    assert exponents[5] in (exponents[4], exponents[6])
    assert broken_rules(program, "esp32p4") == []


@given(st.integers(0, 2**32 - 1), st.sampled_from([8, 16]), st.integers(-6, 6))
def test_weights_take_the_exponent_of_least_squared_error(seed: int, bits: int, spread: int) -> None:
    rows = np.random.default_rng(seed).standard_normal((3, 40)).astype(np.float32) * np.float32(2.0**spread)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    found = least_error(rows, 0, bits)
    for row, chosen in zip(rows.astype(np.float64), found, strict=True):

        def error(e: int, row: np.ndarray = row) -> float:
            return float(np.sum((row - np.clip(np.round(row / 2.0**e), low, high) * 2.0**e) ** 2))

        reference = min(error(e) for e in range(int(chosen) - 6, int(chosen) + 7))
        assert error(int(chosen)) <= reference * (1 + 1e-6)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("op_type", ["Relu", "Sigmoid", "Tanh", "Sqrt"])
def test_tiny_values_get_the_smallest_exponent_the_runtime_scales_by(op_type: str, bits: int) -> None:
    data = np.abs(np.random.default_rng(0).standard_normal((4, 3, 2))).astype(np.float32) * np.float32(1e-12)
    quantized = tinsmith.quantize(one_node(op_type), data, "esp32s3", bits=bits)
    assert quantized.program.inputs[0].exponent == -30
    assert min(value.exponent for value in quantized.program.values.values()) == -30


def test_huge_values_are_refused_with_the_way_out() -> None:
    data = np.random.default_rng(0).standard_normal((4, 3, 2)).astype(np.float32) * np.float32(1e15)
    with pytest.raises(ProgramError, match=r"has exponent 4\d, and the runtime scales by .*: scale the network's data"):
        tinsmith.quantize(one_node("Sigmoid"), data, "esp32s3")


def one_node(op_type: str) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node(op_type, ["x"], ["y"], "node")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 2])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
