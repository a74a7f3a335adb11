"""Detectors: cut before their heads without being told where, and exact in every form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import tinsmith
from tests.e2e.nets.build import samples
from tests.e2e.nets.transformers import detector
from tinsmith.errors import UnsupportedError
from tinsmith.espdl import decode, encode
from tinsmith.graph.head import suggest_outputs
from tinsmith.importers import load


def floats(model: onnx.ModelProto, inputs: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """What ONNX Runtime computes for some values of a model, sample by sample."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in known)
    session = onnxruntime.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    (source,) = inputs
    rows = [session.run(names, {source: sample[None]}) for sample in inputs[source]]
    return {name: np.concatenate([row[index] for row in rows]) for index, name in enumerate(names)}


def likeness(expected: Any, found: Any) -> float:
    """Cosine between what two tensors have beyond the means of their channels."""
    mean = expected.mean(axis=(0, *range(2, expected.ndim)), keepdims=True)
    a, b = expected.astype(np.float64) - mean, found.astype(np.float64) - mean
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def deployed(model: onnx.ModelProto, target: str, bits: int, least: float) -> list[float]:
    """Quantizes, cuts, writes, reads and simulates a detector; the likeness of every output."""
    calibration, held = samples(model, 8, 5), samples(model, 2, 9)
    result = tinsmith.quantize(model, calibration, target, bits=bits, outputs="auto")
    program = result.program
    names = [value.name for value in program.outputs]
    assert names == list(suggest_outputs(load(model)))
    assert not any("auto" in note for note in result.notes)
    found = tinsmith.simulate(decode(encode(program)), held)
    defined = tinsmith.simulate(program, held, compiled=False)
    assert all(np.array_equal(found[name], defined[name]) for name in names)
    numbers = tinsmith.dequantize(program, found)
    alike = [likeness(array, numbers[name]) for name, array in floats(model, held, names).items()]
    assert min(alike) > least
    return alike


FORMS = [("esp32p4", 8, 0.98), ("esp32s3", 8, 0.98), ("c", 8, 0.98), ("esp32s3", 16, 0.9999)]


@pytest.mark.parametrize(("target", "bits", "least"), FORMS)
def test_a_detector_in_small(target: str, bits: int, least: float) -> None:
    deployed(detector(), target, bits, least)


def test_a_head_that_is_kept_is_told_of() -> None:
    model = detector()
    result = tinsmith.quantize(model, samples(model, 4, 5), "esp32p4")
    (note,) = (note for note in result.notes if "'auto'" in note)
    assert all(name in note for name in suggest_outputs(load(model)))


def test_a_head_that_cannot_run_is_refused_with_the_way_out() -> None:
    model = detector()
    model.graph.node.append(onnx.helper.make_node("ArgMax", [model.graph.output[0].name], ["best"], axis=1))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("best", onnx.TensorProto.INT64, None))
    with pytest.raises(UnsupportedError, match=r"(?s)ArgMax.*outputs = 'auto'"):
        tinsmith.quantize(model, samples(model, 1, 5), "esp32p4")
    assert len(tinsmith.quantize(model, samples(model, 1, 5), "esp32p4", outputs="auto").program.outputs) == 4
    with pytest.raises(UnsupportedError) as found:
        tinsmith.quantize(model, samples(model, 1, 5), "esp32p4", outputs=["best"])
    assert "auto" not in str(found.value)


def test_attention_over_a_map_is_three_convolutions() -> None:
    """Queries, keys and values come from layers of their own, and nothing has more than four dimensions."""
    model = detector()
    result = tinsmith.quantize(model, samples(model, 2, 5), "esp32p4", outputs="auto")
    assert sum(node.op_type == "Split" for node in result.network.nodes) == 2  # of the two C3k2
    assert max(len(value.shape) for value in result.program.values.values()) <= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolo11n", "yolov8n"])
def test_yolo(name: str, tmp_path: Path) -> None:
    """The real architectures, where `ultralytics` is installed; random weights."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tasks = pytest.importorskip("ultralytics.nn.tasks", reason="ultralytics is not installed", exc_type=ImportError)
    torch.manual_seed(0)
    network = tasks.DetectionModel(f"{name}.yaml", verbose=False).train()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
        if type(layer).__name__ == "Detect":
            layer.export, layer.format, layer.dynamic = True, "onnx", False
    with torch.no_grad():
        network(torch.randn(2, 3, 320, 320))  # without these statistics random weights let all signals vanish
    network.eval()
    path = tmp_path / "model.onnx"
    torch.onnx.export(network, (torch.rand(1, 3, 320, 320),), str(path), dynamo=False, opset_version=17)
    model = onnx.load(path)
    assert len(suggest_outputs(load(model))) == 6
    # Without training nothing is robust: int8 rounds away what int16 keeps.
    for target, bits, least in (("esp32p4", 8, 0.3), ("esp32s3", 16, 0.99)):
        deployed(model, target, bits, least)
