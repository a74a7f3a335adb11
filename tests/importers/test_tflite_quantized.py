"""Quantized TFLite files: the float models they stand for, and their ranges."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

import tinsmith
from tests.importers.contract import assert_agrees
from tests.importers.tflite_cases import ODD
from tests.importers.tflite_files import Graph, Op, T, write
from tests.importers.tflite_formulas import SAME, conv
from tinsmith.errors import ModelError
from tinsmith.graph.canonical import canonicalize
from tinsmith.graph.ranges import ranges_of
from tinsmith.importers import load

RNG = np.random.default_rng(11)
KERNEL = RNG.integers(-127, 128, size=(4, 3, 3, 3)).astype(np.int8)
SCALES = (0.01, 0.02, 0.004, 0.03)
BIAS = RNG.integers(-9000, 9000, size=4).astype(np.int32)
REAL_KERNEL = (KERNEL * np.reshape(SCALES, (4, 1, 1, 1))).astype(np.float32)
REAL_BIAS = (BIAS * np.multiply(SCALES, 0.05)).astype(np.float32)
CONV = {"StrideH": 1, "StrideW": 1}


def int8_net(ends: bool) -> bytes:
    """A convolution with ReLU6 in int8, per channel; integers at both ends, or floats."""
    tensors = [
        T("image", (1, 5, 7, 3)),
        T("image_int8", (1, 5, 7, 3), type="INT8", scale=[0.05], zero=[3]),
        T("kernel", data=KERNEL, scale=SCALES, zero=[0] * 4),
        T("offset", data=BIAS, scale=np.multiply(SCALES, 0.05).tolist(), zero=[0] * 4),
        T("features_int8", (1, 5, 7, 4), type="INT8", scale=[0.02], zero=[-128]),
        T("features", (1, 5, 7, 4)),
    ]
    convolution = Op(
        "CONV_2D",
        ["image_int8", "kernel", "offset"],
        ["features_int8"],
        "Conv2DOptions",
        {**CONV, "FusedActivationFunction": 3},
    )
    if ends:
        return write(Graph(tensors, [convolution], ["image_int8"], ["features_int8"]))
    around = [Op("QUANTIZE", ["image"], ["image_int8"]), convolution, Op("DEQUANTIZE", ["features_int8"], ["features"])]
    return write(Graph(tensors, around, ["image"], ["features"]))


def expected() -> np.ndarray:
    return np.clip(conv(ODD, REAL_KERNEL, REAL_BIAS, (1, 1), SAME), 0, 6)


@pytest.mark.parametrize("ends", [True, False], ids=["integers at both ends", "floats at both ends"])
def test_int8_per_channel(ends: bool) -> None:
    canonical = assert_agrees(int8_net(ends), {"image_int8" if ends else "image": ODD}, [expected()])
    given, result = canonical.graph.inputs[0], canonical.graph.outputs[0]
    assert given.dtype == result.dtype == ir.DataType.FLOAT
    ranges = ranges_of(canonical)
    assert ranges[given.name or ""] == pytest.approx((-131 * 0.05, 124 * 0.05))
    assert ranges[result.name or ""] == pytest.approx((0, 255 * 0.02))
    clip = next(node for node in canonical.graph if node.op_type == "Clip")
    assert ranges[clip.outputs[0].name or ""] == pytest.approx((0, 255 * 0.02))


@pytest.mark.parametrize("ends", [True, False], ids=["integers at both ends", "floats at both ends"])
def test_quantized_again_without_data(ends: bool) -> None:
    program = tinsmith.quantize(int8_net(ends), None, "esp32s3").program
    (given,), (result,) = program.inputs, program.outputs
    assert (given.name, result.name) == (("image_int8", "features_int8") if ends else ("image", "features"))
    assert given.exponents == (-4,)  # up to 6.55, of 7.94
    assert result.exponents == (-4,)  # up to 5.1


def test_legacy_uint8() -> None:
    kernel = RNG.integers(0, 256, size=(4, 3, 3, 3)).astype(np.uint8)
    tensors = [
        T("x", (1, 5, 7, 3), type="UINT8", scale=[1 / 64], zero=[128]),
        T("kernel", data=kernel, scale=[0.02], zero=[121]),
        T("offset", data=BIAS, scale=[0.02 / 64], zero=[0]),
        T("y", (1, 5, 7, 4), type="UINT8", scale=[0.1], zero=[100]),
    ]
    data = write(Graph(tensors, [Op("CONV_2D", ["x", "kernel", "offset"], ["y"], "Conv2DOptions", CONV)], ["x"], ["y"]))
    real = (kernel.astype(np.float32) - 121) * np.float32(0.02)
    wanted = conv(ODD, real, BIAS * 0.02 / 64, (1, 1), SAME)
    ranges = ranges_of(assert_agrees(data, {"x": ODD}, [wanted]))
    assert ranges["x"] == (-2, 127 / 64)
    assert ranges["y"] == pytest.approx((-10, 15.5))


def test_int16_activations_with_wide_biases() -> None:
    bias = np.array([1 << 40, -(1 << 39), 5, 0], np.int64)
    tensors = [
        T("x", (1, 5, 7, 3), type="INT16", scale=[2.0**-12], zero=[0]),
        T("kernel", data=KERNEL, scale=[0.01], zero=[0]),
        T("offset", data=bias, scale=[2.0**-38], zero=[0]),
        T("y", (1, 5, 7, 4), type="INT16", scale=[2.0**-10], zero=[0]),
    ]
    data = write(Graph(tensors, [Op("CONV_2D", ["x", "kernel", "offset"], ["y"], "Conv2DOptions", CONV)], ["x"], ["y"]))
    canonical = assert_agrees(data, {"x": ODD}, [conv(ODD, KERNEL * np.float32(0.01), bias * 2.0**-38, (1, 1), SAME)])
    assert ranges_of(canonical)["y"] == (-32.0, 32767 / 1024)


def test_only_the_weights() -> None:
    """Dynamic range: what computes with floats has no ranges."""
    weights = RNG.integers(-127, 128, size=(5, 6)).astype(np.int8)
    tensors = [T("x", (2, 6)), T("w", data=weights, scale=[0.03], zero=[0]), T("y", (2, 5))]
    data = write(Graph(tensors, [Op("FULLY_CONNECTED", ["x", "w"], ["y"], "FullyConnectedOptions")], ["x"], ["y"]))
    x = RNG.normal(size=(2, 6)).astype(np.float32)
    canonical = assert_agrees(data, {"x": x}, [x @ weights.T * np.float32(0.03)])
    assert not ranges_of(canonical)


def test_halves_behind_dequantize() -> None:
    halves = RNG.normal(size=(4, 3, 3, 3)).astype(np.float16)
    tensors = [T("x", (1, 5, 7, 3)), T("halves", data=halves), T("kernel", (4, 3, 3, 3)), T("y", (1, 5, 7, 4))]
    steps = [
        Op("DEQUANTIZE", ["halves"], ["kernel"]),
        Op("CONV_2D", ["x", "kernel"], ["y"], "Conv2DOptions", CONV),
    ]
    data = write(Graph(tensors, steps, ["x"], ["y"]))
    assert_agrees(data, {"x": ODD}, [conv(ODD, halves.astype(np.float32), np.zeros(4), (1, 1), SAME)])
    assert [node.op_type for node in load(data).graph] == ["Transpose", "Conv", "Transpose"]


def test_weights_of_4_bits() -> None:
    weights = np.array([[-8, 7, 0], [3, -1, 5], [1, 2, -4]], np.int8)
    nibbles = (np.append(weights.reshape(-1), 0).reshape(-1, 2) & 15).astype(np.uint8)
    packed = nibbles[:, 0] | nibbles[:, 1] << 4
    tensors = [T("x", (1, 3)), T("w", (3, 3), packed, "INT4", [0.5], [0]), T("y", (1, 3))]
    data = write(Graph(tensors, [Op("FULLY_CONNECTED", ["x", "w"], ["y"], "FullyConnectedOptions")], ["x"], ["y"]))
    x = np.array([[1, 10, 100]], np.float32)
    assert_agrees(data, {"x": x}, [x @ weights.T * np.float32(0.5)])


def test_a_scale_of_zero_means_zeros() -> None:
    tensors = [
        T("x", (1, 4), type="INT8", scale=[0.5], zero=[0]),
        T("nothing", data=np.array([[1, 2, 3, 4]], np.int8), scale=[0.0], zero=[0]),
        T("y", (1, 4), type="INT8", scale=[0.5], zero=[0]),
    ]
    data = write(Graph(tensors, [Op("ADD", ["x", "nothing"], ["y"], "AddOptions")], ["x"], ["y"]))
    x = np.array([[1, 2, 3, 4]], np.float32)
    assert_agrees(data, {"x": x}, [x])


def test_padding_with_a_number() -> None:
    tensors = [
        T("x", (1, 2), type="INT8", scale=[0.5], zero=[10]),
        T("pads", data=np.array([[0, 0], [1, 0]], np.int32)),
        T("seven", data=np.array(24, np.int8), scale=[0.5], zero=[10]),
        T("y", (1, 3), type="INT8", scale=[0.5], zero=[10]),
    ]
    data = write(Graph(tensors, [Op("PADV2", ["x", "pads", "seven"], ["y"])], ["x"], ["y"]))
    assert_agrees(data, {"x": np.array([[1, 2]], np.float32)}, [np.array([[7, 1, 2]], np.float32)])


def test_ranges_of_fake_quantization() -> None:
    tensors = [T("x", (1, 4)), T("y", (1, 4)), T("z", (1, 4))]
    steps = [
        Op("NEG", ["x"], ["y"]),
        Op("FAKE_QUANT", ["y"], ["z"], "FakeQuantOptions", {"Min": -1.5, "Max": 2.5, "NumBits": 8}),
    ]
    canonical = canonicalize(load(write(Graph(tensors, steps, ["x"], ["z"]))))
    assert ranges_of(canonical) == {"z": (-1.5, 2.5)}


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (T("w", data=KERNEL, scale=(0.1, 0.2), zero=(0, 0)), "2 scales for 4 channels"),
        (T("w", data=KERNEL, scale=(0.1, 0.2), zero=(0, 0), axis=7), "scales along number 7"),
        (T("w", data=KERNEL, scale=(-0.1,), zero=(0,)), "no positive number"),
        (T("w", (4, 3, 3, 5), KERNEL, scale=(0.1,), zero=(0,)), "has 108 bytes"),
        (T("w", (4, 3, 3, 3), KERNEL, "INT4", (0.1,), (0,)), "of 4 bits are in 108 bytes"),
        (T("w", (4, 3, 3, 3), KERNEL, "STRING"), "type STRING"),
    ],
)
def test_contradictions(tensor: T, reason: str) -> None:
    tensors = [T("x", (1, 5, 7, 3)), tensor, T("y", (1, 5, 7, 4))]
    data = write(Graph(tensors, [Op("CONV_2D", ["x", "w"], ["y"], "Conv2DOptions", CONV)], ["x"], ["y"]))
    with pytest.raises(ModelError, match=reason):
        load(data)
