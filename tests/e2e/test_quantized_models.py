"""Models that are quantized already: the float model comes out, and their ranges do for calibration data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import tinsmith
from tests.e2e.real import case, in_floats, on_chip
from tests.small_net import answers, classifier, images, saved
from tinsmith.errors import DataError

Array = NDArray[Any]
KINDS: dict[str, dict[str, Any]] = {
    "int8": {},
    "uint8, per channel": {"activation_type": QuantType.QUInt8, "per_channel": True},
    "symmetric": {"extra_options": {"ActivationSymmetric": True, "WeightSymmetric": True}},
    "int16": {"activation_type": QuantType.QInt16, "weight_type": QuantType.QInt16},
    "uint16": {"activation_type": QuantType.QUInt16},
    "operators on integers": {"quant_format": QuantFormat.QOperator, "activation_type": QuantType.QUInt8},
    "only the Conv": {"op_types_to_quantize": ["Conv"]},
}


class Samples(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, samples: Array) -> None:
        self.feeds: Iterator[dict[str, Array]] = iter([{name: sample[None]} for sample in samples])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.feeds, None)


def quantized_by_onnx_runtime(model: Path, result: Path, samples: Array, **options: Any) -> Path:
    """Quantizes with ONNX Runtime."""
    name = onnx.load(model, load_external_data=False).graph.input[0].name
    choices = {"quant_format": QuantFormat.QDQ, "weight_type": QuantType.QInt8, **options}
    quantize_static(str(model), str(result), Samples(name, samples), **choices)
    return result


def noise_ratio(exact: Array, found: Array) -> float:
    """Signal to noise in dB."""
    return float(10 * np.log10(np.sum(exact**2) / np.sum((exact - found) ** 2)))


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4", "c"])
@pytest.mark.parametrize("kind", KINDS)
def test_small_model(kind: str, target: str, tmp_path: Path) -> None:
    model = classifier(size=16)
    samples, held = images(64, size=16), images(100, seed=2, size=16)
    source = saved(model, tmp_path / "float.onnx")
    path = quantized_by_onnx_runtime(source, tmp_path / "q.onnx", samples, **KINDS[kind])
    expected = answers(model, held)
    wide = kind in ("int16", "uint16")
    for data in (None, samples):
        found = tinsmith.quantize(path, data, target, bits=16 if wide else 8)
        scores = on_chip(found.program, held)
        noisy = kind == "only the Conv" and data is None
        assert np.mean(scores.argmax(1) == expected) >= (0.95 if noisy else 0.99)
        assert noise_ratio(in_float(model, held), scores) >= (20 if noisy else 70 if kind == "int16" else 30)
        assert any("the ranges that the model brings" in note for note in found.notes) == (data is None)


def in_float(model: onnx.ModelProto, samples: Array) -> Array:
    import onnxruntime

    (scores,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": samples})
    return np.asarray(scores)


def test_values_without_a_range_are_named(tmp_path: Path) -> None:
    source = saved(classifier(size=16), tmp_path / "float.onnx")
    path = quantized_by_onnx_runtime(source, tmp_path / "q.onnx", images(64, size=16), op_types_to_quantize=["Conv"])
    (note,) = [note for note in tinsmith.quantize(path).notes if "no range for" in note]
    assert note == "the model has no range for 'scores': estimated on noise. Calibration data would tell."


def test_a_float_model_needs_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"brings no ranges of its own.*Give calibration data"):
        tinsmith.quantize(classifier())


def test_data_decide_within_the_ranges(tmp_path: Path) -> None:
    """What the model saturates counts as saturated, whatever the data reach."""
    source = saved(classifier(size=16), tmp_path / "float.onnx")
    path = quantized_by_onnx_runtime(source, tmp_path / "q.onnx", images(64, size=16))
    exponents = {}
    for factor in (0.25, 1, 100):
        formats = tinsmith.quantize(path, images(64, size=16) * np.float32(factor)).formats.values
        exponents[factor] = formats["scores"].exponents[0], formats["image"].exponents[0]
    assert exponents[0.25][0] < exponents[1][0]
    assert exponents[100][0] <= exponents[1][0] + 1
    assert exponents[100][1] >= exponents[1][1] + 6


@pytest.mark.parametrize(
    ("target", "kind", "lost"), [("esp32p4", "int8", 1.0), ("esp32p4", "uint8, per channel", 1.0), ("c", "int16", 1.0)]
)
def test_a_real_network_keeps_its_accuracy(target: str, kind: str, lost: float, tmp_path: Path) -> None:
    found = case("resnet8", 500)
    path = quantized_by_onnx_runtime(found.model, tmp_path / "q.onnx", found.calibration, **KINDS[kind])
    chip = on_chip(tinsmith.quantize(path, None, target).program, found.samples).argmax(1)
    floats = in_floats("resnet8", found.samples).argmax(1)
    points = 100 * (np.mean(floats == found.labels) - np.mean(chip == found.labels))
    assert points <= lost + 1e-9
