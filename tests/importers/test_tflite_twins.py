"""Networks that exist as `.tflite` and as ONNX, on real data."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.shared import shared_path
from tinsmith.graph.canonical import canonicalize
from tinsmith.graph.execute import Runner
from tinsmith.importers import load

TOLERANCE = 1e-5


def _data(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs as in the TFLite file (channels-last) and labels."""
    if name == "resnet8":
        found = np.load(shared_path("data/cifar10_2000.npz"))
        return found["X"][:200].astype(np.float32), found["y"][:200]
    if name == "kws":
        found = np.load(shared_path("data/kws01.npz"))
        real = (found["X"].astype(np.float32) - found["zero_point"]) * found["scale"]
        return real.reshape(-1, 49, 10, 1)[:200].astype(np.float32), found["Y"][:200]
    found = np.load(shared_path("data/vww96_from_coco128.npz"))
    return (found["X"] / 255).astype(np.float32), found["y"]


def _run(model: ir.Model, samples: np.ndarray) -> np.ndarray:
    canonical = canonicalize(model)
    runner = Runner(canonical)
    (given,), (result,) = canonical.graph.inputs, canonical.graph.outputs
    return np.concatenate([runner({given.name or "": sample[None]})[result.name or ""] for sample in samples])


@pytest.mark.parametrize(
    ("name", "file", "twin"),
    [
        ("resnet8", "pretrainedResnet.tflite", "resnet8_cifar10.onnx"),
        ("kws", "kws_ref_model_float32.tflite", "kws_dscnn.onnx"),
        ("vww", "vww_96_float.tflite", "vww96.onnx"),
    ],
)
def test_is_its_twin(name: str, file: str, twin: str) -> None:
    model, reference = load(shared_path(f"data/tflite/{file}")), load(shared_path(f"data/models/{twin}"))
    samples, labels = _data(name)
    ours = _run(model, samples)
    logits = _run(reference, samples.transpose(0, 3, 1, 2)).astype(np.float64)
    theirs = np.exp(logits - logits.max(axis=1, keepdims=True))
    theirs /= theirs.sum(axis=1, keepdims=True)  # the .tflite files end in a Softmax
    assert np.abs(ours - theirs).max() <= TOLERANCE * theirs.max()
    assert np.count_nonzero(ours.argmax(1) == labels) == np.count_nonzero(theirs.argmax(1) == labels)


@pytest.mark.parametrize("file", ["pretrainedResnet.tflite", "kws_ref_model_float32.tflite", "vww_96_float.tflite"])
def test_the_path_through_the_layers_has_no_transposes(file: str) -> None:
    canonical = canonicalize(load(shared_path(f"data/tflite/{file}")))
    assert [node.op_type for node in canonical.graph][1:].count("Transpose") == 0
    assert len(canonical.graph.inputs[0].shape or ()) == 4
    assert (canonical.graph.inputs[0].shape or ())[3] in (1, 3)


def test_bytes_are_recognized() -> None:
    path = shared_path("data/tflite/kws_ref_model_float32.tflite")
    assert [node.name for node in load(path.read_bytes()).graph] == [node.name for node in load(path).graph]
