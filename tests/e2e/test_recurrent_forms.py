"""Recurrent layers of every kind through the whole pipeline: as they are, rewritten, spelled out."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import tinsmith
from tests.graph.models import node
from tests.graph.recurrent_models import HIDDEN, INPUTS, STEPS, layer
from tests.graph.unrolled_models import Spelled
from tinsmith.errors import UnsupportedError

AFTER: dict[str, Any] = {"linear_before_reset": 1}
LARGEST = {8: 0.06, 16: 0.008}
"""Of states within ±1: int8 has steps of 1/128 in state, input and weights; the gates are exact to 1/512."""
SIMPLE = 0.02
"""A simple layer is a GRU whose gates are not quite shut and open."""
TARGETS = ["esp32s3", "esp32p4", "c"]

FORMS: dict[str, tuple[onnx.ModelProto, set[str]]] = {
    "reversed GRU": (layer("GRU", direction="reverse", **AFTER), {"GRU", "ReverseSequence"}),
    "reversed LSTM": (layer("LSTM", "Y Y_c", direction="reverse"), {"LSTM", "ReverseSequence"}),
    "both ways": (layer("GRU", direction="bidirectional", initial=True, **AFTER), {"GRU"}),
    "short": (layer("LSTM", lengths=3, initial=True), {"Slice", "LSTM", "Pad"}),
    "short and reversed": (
        layer("GRU", lengths=4, direction="reverse", **AFTER),
        {"Slice", "ReverseSequence", "GRU", "Pad"},
    ),
    "no biases": (layer("LSTM", "Y_h", bias=False), {"LSTM"}),
    "simple": (layer("RNN", initial=True), {"GRU"}),
    "simple both ways": (layer("RNN", direction="bidirectional"), {"GRU"}),
    "simple with Relu": (
        layer("RNN", "Y", activations=["Relu"]),
        {"Reshape", "Gemm", "Split", "Add", "Concat"},
    ),
    "reset before": (layer("GRU", initial=True, steps=3), set()),
    "reset before, both ways": (layer("GRU", "Y", direction="bidirectional", steps=2), set()),
    "peepholes": (layer("LSTM", "Y Y_c", peepholes=0.5, steps=3), set()),
    "coupled": (layer("LSTM", "Y_h", input_forget=1, steps=3), set()),
    "clipped": (layer("LSTM", "Y", clip=1.0, steps=3), set()),
    "last step": (
        layer("LSTM", "out", more=[node("Gather", "Y last", "out", axis=0)], constants={"last": -1}),
        {"LSTM"},
    ),
}
LAYERS = {"GRU", "LSTM", "RNN"}


def check(model: onnx.ModelProto, target: str, bits: int, least: float = 0.0) -> set[str]:
    """Quantizes, compares with ONNX Runtime, and the interpreter with the compiled form; returns the operators."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(2)
    samples = [
        {i.name: rng.standard_normal(i.shape).astype(np.float32) for i in session.get_inputs()} for _ in range(8)
    ]
    quantized = tinsmith.quantize(model, samples, target, bits=bits)
    for sample in samples[:3]:
        compiled, again = quantized.simulate(sample), quantized.simulate(sample, compiled=False)
        found = tinsmith.dequantize(quantized.program, compiled)
        for output, expected in zip(session.get_outputs(), session.run(None, sample), strict=True):
            assert np.array_equal(compiled[output.name], again[output.name])
            limit = max(least, LARGEST[bits]) * max(1.0, float(np.abs(expected).max()))
            assert np.abs(found[output.name].reshape(expected.shape) - expected).max() <= limit, output.name
    return {step.op_type for step in quantized.program.nodes}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bits", [8, 16])
def test_forms(form: str, bits: int) -> None:
    model, wanted = FORMS[form]
    for target in TARGETS if wanted else TARGETS[bits // 16 :][:1]:
        found = check(model, target, bits, SIMPLE if form.startswith("simple") else 0.0)
        assert wanted <= found
        assert wanted or not found & LAYERS


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("bits", [8, 16])
def test_cells_spelled_out(kind: str, bits: int) -> None:
    spelled = Spelled(kind, feed="backwards")
    states = spelled.run()
    model = spelled.model(f"{spelled.stacked(states)} {states[-1][0]}")
    for target in TARGETS:
        assert {kind, "ReverseSequence"} <= check(model, target, bits)


@pytest.mark.parametrize("op_type", ["GRU", "LSTM"])
def test_batch_first(op_type: str) -> None:
    """ONNX Runtime does not run layout 1: compared with the layer that has time first."""
    usual: dict[str, Any] = AFTER if op_type == "GRU" else {}
    rng = np.random.default_rng(3)
    samples = [rng.standard_normal((1, STEPS, INPUTS)).astype(np.float32) for _ in range(8)]
    model = layer(op_type, "Y", layout=1, direction="bidirectional", **usual)
    quantized = tinsmith.quantize(model, [{"x": x} for x in samples], "esp32s3", bits=16)
    other = layer(op_type, "Y", direction="bidirectional", **usual)
    session = onnxruntime.InferenceSession(other.SerializeToString(), providers=["CPUExecutionProvider"])
    found = tinsmith.dequantize(quantized.program, quantized.simulate({"x": samples[0]}))["Y"]
    (expected,) = session.run(None, {"x": samples[0].transpose(1, 0, 2)})
    assert found.shape == (1, STEPS, 2, HIDDEN)
    assert np.abs(found - expected.transpose(2, 0, 1, 3)).max() < LARGEST[16]


def batch_of_two(op_type: str, **usual: Any) -> onnx.ModelProto:
    model = layer(op_type, "Y", **usual)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    return model


def computed_lengths() -> onnx.ModelProto:
    model = layer("LSTM", "Y", lengths=3)
    (lengths,) = (tensor for tensor in model.graph.initializer if tensor.name == "lens")
    model.graph.initializer.remove(lengths)
    model.graph.input.append(onnx.helper.make_tensor_value_info("lens", onnx.TensorProto.INT32, [1]))
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (batch_of_two("LSTM"), "the batch must be 1"),
        (batch_of_two("GRU", direction="reverse", **AFTER), "the batch must be 1"),
        (computed_lengths(), "does not read `sequence_lens`"),
        (layer("GRU", "Y_h", steps=65), "linear_before_reset = 1 only, and only up to 64 steps"),
        (layer("LSTM", "Y_h", steps=65, peepholes=1.0), "no peepholes .* only up to 64 steps"),
        (layer("LSTM", "Y_h", steps=65, clip=1.0), "its gates end at 6.3"),
        (layer("LSTM", "Y_h", activations=["Sigmoid", "ScaledTanh", "Tanh"]), "the usual activations only"),
        (layer("RNN", "Y_h", steps=65, activations=["Relu"]), "RNN"),
    ],
)
def test_refusals(model: onnx.ModelProto, message: str) -> None:
    shapes = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    types = {"lens": np.int32}
    sample = {name: np.ones(shape, types.get(name, np.float32)) for name, shape in shapes.items()}
    with pytest.raises(UnsupportedError, match=message):
        tinsmith.quantize(model, [sample], "esp32s3")
