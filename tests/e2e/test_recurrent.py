"""LSTM layers through the whole pipeline: states with and without a start value, on every family of chips."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import tinsmith

INPUTS, HIDDEN, STEPS = 8, 16, 5
SHAPES = {"Y": [STEPS, 1, 1, HIDDEN], "Y_h": [1, 1, HIDDEN], "Y_c": [1, 1, HIDDEN]}


def _lstm(outputs: list[str], *, initial: bool) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    shapes = {"w": (1, 4 * HIDDEN, INPUTS), "r": (1, 4 * HIDDEN, HIDDEN), "b": (1, 8 * HIDDEN)}
    states = {"h0": [1, 1, HIDDEN], "c0": [1, 1, HIDDEN]} if initial else {}
    names = ["x", "w", "r", "b", *(["", "h0", "c0"] if initial else [])]
    graph = helper.make_graph(
        [helper.make_node("LSTM", names, list(SHAPES), name="lstm", hidden_size=HIDDEN)],
        "g",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in {"x": [STEPS, 1, INPUTS], **states}.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPES[name]) for name in outputs],
        [
            numpy_helper.from_array((rng.standard_normal(shape) * 0.3).astype(np.float32), name)
            for name, shape in shapes.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4", "c"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("initial", [False, True], ids=["zero state", "given state"])
@pytest.mark.parametrize("outputs", [["Y"], ["Y_h", "Y_c"], ["Y", "Y_h", "Y_c"]], ids=["Y", "states", "all"])
def test_lstm(outputs: list[str], initial: bool, bits: int, target: str) -> None:
    model = _lstm(outputs, initial=initial)
    rng = np.random.default_rng(1)
    states = {"h0": (1, 1, HIDDEN), "c0": (1, 1, HIDDEN)} if initial else {}
    samples = [
        {
            "x": rng.standard_normal((STEPS, 1, INPUTS)).astype(np.float32),
            **{name: (rng.standard_normal(shape) * 0.3).astype(np.float32) for name, shape in states.items()},
        }
        for _ in range(6)
    ]
    quantized = tinsmith.quantize(model, samples, target, bits=bits)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for sample in samples[:3]:
        found = tinsmith.dequantize(quantized.program, quantized.simulate(sample))
        again = quantized.simulate(sample, compiled=False)
        for name, expected in zip(outputs, session.run(None, sample), strict=True):
            assert found[name].reshape(expected.shape) == pytest.approx(expected, abs=0.05 if bits == 8 else 0.006)
            assert np.array_equal(quantized.simulate(sample)[name], again[name])
    if "Y_c" in outputs:
        cell = quantized.program.values["Y_c"]
        assert (cell.dtype.name, cell.exponent) == ("INT16", -9)
