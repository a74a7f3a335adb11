"""The simulator beside a second implementation of the manual, on programs that go through files."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.formulas import Linear, packed
from tests.conformance.kernel_files import Array, both
from tinsmith.espdl import decode, encode
from tinsmith.program import DType, Node, Program, Tensor, Value

TARGETS = ("esp32s3", "esp32p4", "c")


def whole(rng: np.random.Generator, shape: tuple[int, ...], bits: int, extremes: float) -> Array:
    """Random integers, a share of them at the ends of the range, most of those at the same end in many draws."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    values = rng.integers(low, high + 1, shape)
    ends = np.where(rng.random(shape) < rng.choice([0.05, 0.5, 0.95]), low, high)
    return np.asarray(np.where(rng.random(shape) < extremes, ends, values)).astype(f"int{bits}")


def conv_program(case: Linear) -> Program:
    """The convolution as somebody else would write it: packed weights, no target recorded, through bytes."""
    depthwise = case.group != 1
    filters, channels, rows, columns = case.weights.shape
    dims = (rows, columns, filters, channels) if depthwise else (rows, columns, channels, filters)
    data = packed(case.weights, case.target, case.bits, depthwise=depthwise).reshape(dims)
    constants = {"w": Tensor("w", data, tuple(-7 - shift for shift in case.shifts))}
    if case.bias is not None:
        constants["b"] = Tensor("b", case.bias)
    dtype = DType.INT8 if case.bits == 8 else DType.INT16
    values = {"x": Value("x", dtype, (1, *case.x.shape), (2,)), "y": Value("y", dtype, (1, 1, 1, filters), (-5,))}
    attributes: dict[str, Any] = {
        "activation": "Relu" if case.relu else "Linear",
        "dilations": case.dilations,
        "group": case.group,
        "kernel_shape": (rows, columns),
        "pads": case.pads,
        "quant_type": "S8" if case.bits == 8 else "S16",
        "strides": case.strides,
    }
    node = Node("Conv", "conv", ("x", *constants), ("y",), attributes)
    return decode(encode(Program((node,), (values["x"],), (values["y"],), values, constants)))


def convolution(rng: np.random.Generator) -> Linear:
    """Any geometry, target and width; heavy numbers in many, so that narrow accumulators saturate."""

    def pair(low: int, high: int) -> tuple[int, int]:
        first, second = rng.integers(low, high + 1, 2)
        return int(first), int(second)

    target, bits = str(rng.choice(TARGETS)), int(rng.choice([8, 16]))
    depthwise = rng.random() < 0.3
    kernel, dilations = pair(1, 3), pair(1, 2)
    lengths = [d * (k - 1) + int(rng.integers(1, 4)) for k, d in zip(kernel, dilations, strict=True)]
    channels = int(rng.choice([2, 3, 8, 16, 19, 40, 70, 130]))
    filters = channels if depthwise else int(rng.choice([1, 5, 8, 16, 17, 21]))
    extremes = float(rng.choice([0.0, 0.5, 0.95]))
    x = whole(rng, (*lengths, channels), bits, extremes)
    weights = whole(rng, (filters, 1 if depthwise else channels, *kernel), bits, extremes)
    bias = None
    if rng.random() < 0.5:
        reach = int(rng.choice([2**10, 2**19, 2**20, 2**30])) * (1 if bits == 8 else int(rng.choice([1, 2**10])))
        bias = rng.integers(-reach, reach, filters).astype(np.int32 if bits == 8 else np.int64)
    base = int(rng.integers(0, 17 if bits == 8 else 29))
    shifts = tuple(int(s) for s in base + rng.integers(0, 4, filters)) if target == "esp32p4" else (base,)
    group, relu = channels if depthwise else 1, bool(rng.random() < 0.5)
    pads = (*pair(0, 2), *pair(0, 2))
    return Linear(x, weights, bias, target, bits, shifts, group, relu, pair(1, 3), dilations, pads)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_convolutions(seed: int) -> None:
    case = convolution(np.random.default_rng(seed))
    program = conv_program(case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = both(program, {"x": case.x[None]}, case.target)["y"]
    assert found[0].tolist() == case.result()


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
def test_lanes_of_40_bits_saturate_on_the_way(target: str) -> None:
    """704 full products up, then 296 down: 8 vector channels and 3 of the tail, which saturates block by block."""
    x = np.full((1, 1, 1000), 32767, np.int16)
    weights = np.full((11, 1000, 1, 1), 32767, np.int16)
    weights[:, 704:] = -32768
    case = Linear(x, weights, None, target, 16, (26,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = both(conv_program(case), {"x": x[None]}, target)["y"]
    assert found[0].tolist() == case.result()
    exact = 32767 * (704 * 32767 - 296 * 32768)
    low = 2**39 - 1 - 296 * 32767 * 32768
    saturated, unsaturated = (low + 2**25) >> 26, (exact + 2**25) >> 26
    assert saturated != unsaturated
    assert found[0, 0, 0, 8:].tolist() == [saturated] * 3
    assert found[0, 0, 0, :8].tolist() == [saturated if target == "esp32s3" else unsaturated] * 8
