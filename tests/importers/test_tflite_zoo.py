"""Small networks as TensorFlow writes them (`tools/tflite_zoo.py`), beside what the reference runtime computes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import tinsmith
from tests.importers.contract import assert_agrees
from tinsmith.graph.canonical import canonicalize
from tinsmith.graph.execute import Runner
from tinsmith.graph.ranges import ranges_of
from tinsmith.importers import load

DATA = Path(__file__).parent / "data" / "tflite"
KERNELS = {
    "cnn": {"Conv": 2, "Clip": 1, "Relu": 1, "MaxPool": 1, "Gemm": 1},
    "cnn_half": {"Conv": 2, "Clip": 1, "Relu": 1, "MaxPool": 1, "Gemm": 1},
    "depthwise": {"Conv": 3, "Relu": 1, "Add": 1, "GlobalAveragePool": 1, "Gemm": 1, "Softmax": 1},
    "attention": {"LayerNormalization": 2, "Gemm": 7, "MatMul": 2, "Softmax": 1, "Add": 2, "Gelu": 1, "ReduceMean": 1},
    "tcn": {"Conv": 2, "Relu": 2, "ReduceMax": 1, "Gemm": 1},
    "gru_loop": {"GRU": 2, "Gemm": 1},
    "lstm_loop": {"LSTM": 2, "Gemm": 1},
    "lstm": {"LSTM": 2, "Gemm": 1},
}
MOVERS = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Pad", "Slice")


def example(name: str) -> tuple[np.ndarray, np.ndarray]:
    """An input, and what the reference runtime makes of it."""
    found = np.load(DATA / f"{name}.npz")
    return found["x"], found["y"]


def path(name: str) -> Path:
    return DATA / f"{name}.tflite"


def kernels(model: ir.Model) -> Counter[str]:
    """What computes."""
    return Counter(node.op_type for node in model.graph if node.op_type not in MOVERS)


@pytest.mark.parametrize("name", KERNELS)
def test_agrees_with_the_reference_runtime(name: str) -> None:
    x, y = example(name)
    canonical = assert_agrees(path(name), {"x": x}, [y])
    assert kernels(canonical) == KERNELS[name]


@pytest.mark.parametrize("name", ["cnn_int8", "cnn_int16", "depthwise_int8", "lstm_int8"])
def test_quantized_files_are_the_float_network(name: str) -> None:
    """Within what their own rounding costs: the runtime computes with the integers."""
    x, y = example(name)
    canonical = canonicalize(load(path(name)))
    assert kernels(canonical) == KERNELS[name.rpartition("_")[0]]
    (given,), (result,) = canonical.graph.inputs, canonical.graph.outputs
    found = Runner(canonical)({given.name or "": x})[result.name or ""]
    assert 10 * np.log10((y**2).sum() / ((found - y) ** 2).sum()) > 25
    ranges = ranges_of(canonical)
    assert {given.name, result.name} <= set(ranges)
    low, high = ranges[result.name or ""]
    assert low <= y.min()
    assert y.max() <= high


@pytest.mark.parametrize("name", ["cnn_int8", "depthwise_int8"])
def test_quantized_files_need_no_data(name: str) -> None:
    x, y = example(name)
    quantized = tinsmith.quantize(path(name), None, "esp32p4")
    found = tinsmith.simulate(quantized.program, {quantized.program.inputs[0].name: x})
    (real,) = tinsmith.dequantize(quantized.program, found).values()
    assert 10 * np.log10((y**2).sum() / ((real - y) ** 2).sum()) > 15
