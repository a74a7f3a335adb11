"""FastestDet on real pictures: the chip's output beside the float network's."""

from __future__ import annotations

import io
import zipfile
from functools import cache

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import tinsmith
from tests.shared import shared_path

TARGETS = ("esp32s3", "esp32p4", "c")
LEAST = {8: 0.97, 16: 0.9999}


@cache
def pictures(first: int, count: int) -> np.ndarray:
    """BGR / 255, 352 x 352."""
    found = []
    with zipfile.ZipFile(shared_path("data/imagenet500.zip")) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith((".jpg", ".jpeg")))
        for name in names[first : first + count]:
            picture = Image.open(io.BytesIO(archive.read(name))).convert("RGB").resize((352, 352))
            found.append(np.asarray(picture, np.float32)[..., ::-1].transpose(2, 0, 1) / 255)
    return np.stack(found).astype(np.float32)


def cosine(target: str, bits: int, calibration: int, held: int) -> float:
    """Of the whole output over pictures that were not calibrated with."""
    model = str(shared_path("data/models/fastestdet.onnx"))
    quantized = tinsmith.quantize(model, pictures(400, calibration), target, bits=bits)
    samples = pictures(0, held)
    (chip,) = tinsmith.dequantize(quantized.program, quantized.simulate(samples)).values()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    floats = np.concatenate([session.run(None, {source.name: sample[None]})[0] for sample in samples])
    twice = quantized.simulate(samples[:1])
    assert all(np.array_equal(array, quantized.simulate(samples[:1])[name]) for name, array in twice.items())
    definition = quantized.simulate(samples[:1], compiled=False)
    assert all(np.array_equal(array, definition[name]) for name, array in twice.items())
    return float((chip * floats).sum() / np.sqrt(np.square(chip).sum() * np.square(floats).sum()))


def test_int16_on_some_pictures() -> None:
    assert cosine("esp32s3", 16, 4, 2) > LEAST[16]


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [8, 16])
def test_many_pictures(target: str, bits: int) -> None:
    assert cosine(target, bits, 64, 16) > LEAST[bits]
