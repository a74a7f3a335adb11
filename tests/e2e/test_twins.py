"""Twins of real networks in plain ONNX Runtime: an evaluation script sees what the chip computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import tinsmith
from tests.conformance.kernel_files import program_of
from tests.e2e.real import SMALL, Array, case, on_chip, quantized
from tests.shared import shared_files
from tinsmith.espdl import decode, encode
from tinsmith.program import Program

TARGETS = ["esp32s3", "esp32p4"]
OPS = shared_files("golden/ops/*/*/*.espdl")


def run_twin(path: Path, samples: Array) -> Array:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    assert source.type == "tensor(float)"
    assert list(source.shape) == ["N", *samples.shape[1:]]
    (result,) = session.run(None, {source.name: samples})
    return np.asarray(result)


def noise(name: str, count: int) -> Array:
    """Random samples over the range of the network's data."""
    data = case(name, 1).calibration
    shape = (count, *data.shape[1:])
    return np.random.default_rng(7).uniform(data.min(), data.max(), shape).astype(np.float32)


def compare(name: str, target: str, bits: int, count: int, path: Path) -> None:
    program = quantized(name, target, bits, 1).program
    samples = noise(name, count)
    found = run_twin(tinsmith.save_twin(decode(encode(program)), path), samples)
    assert np.array_equal(found, on_chip(program, samples))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", SMALL)
def test_the_twin_is_the_simulator(name: str, target: str, bits: int, tmp_path: Path) -> None:
    compare(name, target, bits, 6, tmp_path / "twin.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", [*SMALL, "mobilenetv2"])
def test_the_twin_is_the_simulator_on_100_samples(name: str, target: str, bits: int, tmp_path: Path) -> None:
    compare(name, target, bits, 100, tmp_path / "twin.onnx")


def float_inputs(program: Program, rng: np.random.Generator) -> dict[str, Any]:
    found = dict(program.test_inputs)
    for value in program.inputs:
        if value.dtype.quantized:
            reach = 2.0 ** (value.exponent + value.dtype.bits - 1)
            found[value.name] = rng.uniform(-reach, reach, value.shape).astype(np.float32)
    return found


@pytest.mark.skipif(not OPS, reason="needs the reference files (set TINSMITH_SHARED)")
def test_twins_of_single_operators_of_other_exporters(tmp_path: Path) -> None:
    """A file without our metadata: floats in the file's own layout. Every twentieth file."""
    rng, refused = np.random.default_rng(8), set()
    for path in OPS[::20]:
        program, target = tinsmith.read(path), path.parts[-3].rpartition("_")[0]
        try:
            twin = tinsmith.save_twin(program, tmp_path / "twin.onnx", target)
        except tinsmith.TinsmithError as error:
            assert "these nodes have no exact ONNX form" in str(error)  # noqa: PT017
            assert any(node.name in str(error) for node in program.nodes)  # noqa: PT017
            refused.add(path.parts[-2])
            continue
        inputs = float_inputs(program, rng)
        session = onnxruntime.InferenceSession(str(twin), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        found = dict(zip(names, session.run(None, inputs), strict=True))
        simulated = tinsmith.simulate(program, inputs, target, assume_no_saturation=True)
        for name, array in tinsmith.dequantize(program, simulated).items():
            assert found[name].shape == array.shape, path
            assert np.array_equal(found[name], array, equal_nan=array.dtype.kind == "f"), path
    assert {"GRU", "LSTM"} <= refused
    assert not refused & {"Conv", "Gemm", "MatMul", "Add", "Mul", "Relu", "AveragePool", "Resize", "Softmax", "Concat"}


@pytest.mark.skipif(not OPS, reason="needs the reference files (set TINSMITH_SHARED)")
def test_the_twin_of_accumulators_that_saturate_is_the_exact_sum(tmp_path: Path) -> None:
    """The one documented difference: lanes that saturate are simulated, and summed exactly in the twin."""
    (path,) = shared_files("golden/kernels/s3/conv8_sat_cancel_C48_s13.npz")
    saved = dict(np.load(path).items())
    program = program_of(saved)
    twin = tinsmith.save_twin(program, tmp_path / "twin.onnx", "esp32s3")
    session = onnxruntime.InferenceSession(str(twin), providers=["CPUExecutionProvider"])
    inputs = {"x": (saved["x"] * np.float32(2.0 ** int(saved["ex"])))}
    (found,) = session.run(None, inputs)
    exact = tinsmith.simulate(program, inputs, "esp32s3", assume_no_saturation=True)
    assert np.array_equal(found, tinsmith.dequantize(program, exact)["y"])
    chip = tinsmith.simulate(program, inputs, "esp32s3")
    assert chip["y"].tolist() == saved["y"].tolist()
    assert not np.array_equal(chip["y"], exact["y"])
