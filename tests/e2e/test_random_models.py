"""What holds for every network: the file is the program, and all ways to run it give the same integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinsmith
from tests.e2e.random_models import models
from tinsmith.errors import ProgramError
from tinsmith.espdl.decoder import decode
from tinsmith.espdl.encoder import encode

TARGETS = st.sampled_from(["esp32s3", "esp32p4", "c"])


def _calibration(model: onnx.ModelProto, count: int = 4) -> np.ndarray:
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(7).standard_normal((count, *shape[1:])).astype(np.float32)


@settings(max_examples=40)
@given(model=models(), target=TARGETS, bits=st.sampled_from([8, 16]), mixed=st.booleans())
def test_every_way_to_run_it_gives_the_same_integers(
    model: onnx.ModelProto, target: str, bits: int, mixed: bool
) -> None:
    data = _calibration(model)
    int16 = [f"^{model.graph.node[0].name}$"] if mixed and bits == 8 else []
    try:
        quantized = tinsmith.quantize(model, data, target, bits=bits, int16=int16)
    except tinsmith.TinsmithError as error:
        if int16 and "matches no node" in str(error):
            return
        raise
    program = quantized.program
    again = decode(encode(program))
    assert again == program
    assert encode(again) == encode(program)
    compiled = tinsmith.simulate(program, {"input": data}, save_all=True)
    interpreted = tinsmith.simulate(again, {"input": data}, save_all=True, compiled=False)
    assert compiled.keys() == interpreted.keys()
    for name, array in interpreted.items():
        assert np.array_equal(compiled[name], array, equal_nan=array.dtype.kind == "f"), name


@settings(max_examples=25)
@given(model=models(), target=TARGETS, bits=st.sampled_from([8, 16]))
def test_the_chip_stays_close_to_the_float_model(model: onnx.ModelProto, target: str, bits: int) -> None:
    """The error is at most a small share of the output's range, zero included, and a step of its format.

    Formats have no zero point: what stays far from zero has few steps. Far beyond that something is wired wrongly.
    """
    data = _calibration(model, 8)
    quantized = tinsmith.quantize(model, data, target, bits=bits, calibration="minmax")
    outputs = tinsmith.dequantize(quantized.program, quantized.simulate(data))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"input": sample[None]})[0] for sample in data])
    ((name, found),) = outputs.items()
    assert found.shape == expected.shape
    value = quantized.program.values[name]
    step = 2.0**value.exponent if value.dtype.quantized else 0.0
    span = float(max(expected.max(), 0) - min(expected.min(), 0)) or 1.0
    limit = 0.35 if bits == 8 else 0.01
    assert float(np.abs(found - expected).max()) <= limit * span + step


@settings(max_examples=15)
@given(model=models(max_stages=4), target=TARGETS)
def test_the_twin_gives_the_simulator_s_outputs(
    model: onnx.ModelProto, target: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = _calibration(model, 6)
    program = tinsmith.quantize(model, data, target).program
    path: Path = tmp_path_factory.mktemp("twin") / "twin.onnx"
    try:
        tinsmith.save_twin(program, path)
    except ProgramError as error:
        if "no exact ONNX form" in str(error):
            return
        raise
    expected = tinsmith.dequantize(program, tinsmith.simulate(program, {"input": data}, assume_no_saturation=True))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = np.concatenate([session.run(None, {"input": sample[None]})[0] for sample in data])
    (wanted,) = expected.values()
    assert np.array_equal(found, wanted, equal_nan=True)
