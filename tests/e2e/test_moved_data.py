"""ReverseSequence and ScatterND of float networks: through the whole pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import tinsmith
from tests.graph.models import model, node, value
from tinsmith.errors import UnsupportedError

STEPS, SIZE = 6, 8
LARGEST = {8: 0.05, 16: 0.0005}


def around(middle: list[onnx.NodeProto], constants: dict[str, Any], shape: list[int]) -> onnx.ModelProto:
    """x → Mul → the nodes in the middle, a → b → Add, Relu → y: neighbours that compute."""
    return model(
        [node("Mul", "x factor", "a"), *middle, node("Add", "b a", "s"), node("Relu", "s", "y")],
        {"x": shape},
        "y",
        {"factor": 0.5, **constants},
    )


def scatter(indices: Any, updates: Any, **attributes: Any) -> onnx.ModelProto:
    tensors = {"indices": np.asarray(indices, np.int64), "updates": np.asarray(updates, np.float32)}
    return around([node("ScatterND", "a indices updates", "b", **attributes)], tensors, [STEPS, SIZE])


def reverse(lengths: list[int], shape: list[int], **axes: Any) -> onnx.ModelProto:
    return around([node("ReverseSequence", "a lengths", "b", **axes)], {"lengths": lengths}, shape)


ROW = np.linspace(-1, 1, SIZE)
MODELS = {
    "reversed": reverse([STEPS], [STEPS, 1, SIZE], batch_axis=1, time_axis=0),
    "reversed in part": reverse([4], [1, STEPS, SIZE], batch_axis=0, time_axis=1),
    "several sequences": reverse([2, 6, 1], [3, STEPS, SIZE], batch_axis=0, time_axis=1),
    "time first": reverse([2, 6, 1], [STEPS, 3, SIZE], batch_axis=1, time_axis=0),
    "rows": scatter([[1], [4]], [ROW, -ROW]),
    "negative indices": scatter([[-1, 0], [0, -2]], [0.5, -0.25]),
    "added": scatter([[2], [3]], [ROW, ROW], reduction="add"),
    "maximum": scatter([[2], [0]], [ROW, ROW], reduction="max"),
    "minimum": scatter([[2], [0]], [ROW, ROW], reduction="min"),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("target", ["esp32s3", "esp32p4", "c"])
def test_constant_indices(name: str, bits: int, target: str) -> None:
    session = onnxruntime.InferenceSession(MODELS[name].SerializeToString(), providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    rng = np.random.default_rng(4)
    samples = [{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(6)]
    quantized = tinsmith.quantize(MODELS[name], samples, target, bits=bits)
    assert {"ReverseSequence", "ScatterND"} & {step.op_type for step in quantized.program.nodes}
    for sample in samples[:2]:
        compiled = quantized.simulate(sample)
        assert np.array_equal(compiled["y"], quantized.simulate(sample, compiled=False)["y"])
        found = tinsmith.dequantize(quantized.program, compiled)["y"]
        (expected,) = session.run(None, sample)
        assert np.abs(found.reshape(expected.shape) - expected).max() <= LARGEST[bits]


def given(op_type: str) -> onnx.ModelProto:
    """The indices are an input of the model."""
    if op_type == "ScatterND":
        middle = node("ScatterND", "a index updates", "b", "scatter")
        more, shape, index = {"updates": np.ones((1, SIZE), np.float32)}, [STEPS, SIZE], [1, 1]
    else:
        middle = node("ReverseSequence", "a index", "b", "reverse", batch_axis=1, time_axis=0)
        more, shape, index = {}, [STEPS, 1, SIZE], [1]
    nodes = [node("Mul", "x factor", "a"), middle, node("Relu", "b", "y")]
    return model(nodes, [value("x", shape), value("index", index, np.int64)], "y", {"factor": 0.5, **more})


def test_lengths_that_are_not_known_are_refused() -> None:
    sample = {"x": np.zeros((STEPS, 1, SIZE), np.float32), "index": np.array([2])}
    with pytest.raises(UnsupportedError, match="'reverse': The sequence lengths are computed at run time; the chip"):
        tinsmith.quantize(given("ReverseSequence"), [sample], "esp32s3")


def test_indices_at_run_time() -> None:
    """The runtime reads them from a tensor, as int64."""
    x = np.linspace(0, 1, STEPS * SIZE, dtype=np.float32).reshape(STEPS, SIZE)
    quantized = tinsmith.quantize(given("ScatterND"), [{"x": x, "index": np.array([[0]])}], "esp32s3")
    for row in (1, 5):
        sample = {"x": x, "index": np.array([[row]])}
        found = tinsmith.dequantize(quantized.program, quantized.simulate(sample))["y"]
        expected = x / 2
        expected[row] = 1
        assert np.abs(found - expected).max() <= LARGEST[8]
        assert np.array_equal(quantized.simulate(sample)["y"], quantized.simulate(sample, compiled=False)["y"])
