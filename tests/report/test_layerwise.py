"""Each layer alone: what it does to the outputs is what a network with one layer on the chip gives."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

import tinsmith
from tests.report.analysed import alone, coarser_weights, model_of, pictures, pyramid, sequences
from tests.shared import shared_path
from tinsmith.errors import DataError, ModelError
from tinsmith.quantized import Quantized
from tinsmith.report import layerwise as module
from tinsmith.report.layer_error import LayerError
from tinsmith.report.layerwise import layerwise

DATA = pictures(8, seed=5)


@pytest.fixture(scope="module")
def quantized() -> Quantized:
    return tinsmith.quantize(pyramid(), pictures(16), "esp32p4", effort="fast")


def noise(errors: tuple[LayerError, ...]) -> dict[str, float]:
    return {error.layer: error.noise for error in errors}


@pytest.mark.parametrize("effort", ["fast", "default"])
@pytest.mark.parametrize("target", ["esp32p4", "esp32s3"])
@pytest.mark.parametrize("ceiling", [6.0, 1.5])
def test_the_direct_method_gives_the_same(target: str, effort: str, ceiling: float) -> None:
    found = tinsmith.quantize(pyramid(ceiling=ceiling), pictures(16), target, effort=effort)
    assert noise(layerwise(found, DATA)) == pytest.approx(alone(found, DATA), rel=1e-3)


def test_recurrent_layers_tables_and_several_outputs() -> None:
    data = np.random.default_rng(0).normal(0, 1, (12, 6, 4)).astype(np.float32)
    found = tinsmith.quantize(sequences(), data, "esp32p4", effort="fast")
    errors = noise(layerwise(found, data))
    assert list(errors) == ["lstm", "matmul", "softmax"]
    assert errors == pytest.approx(alone(found, data), rel=1e-3)
    states = noise(layerwise(found, data, outputs=["states"]))
    assert (states["matmul"], states["softmax"]) == (0, 0)
    scores = noise(layerwise(found, data, outputs=["scores"]))
    assert errors["lstm"] == np.mean([states["lstm"], scores["lstm"]])


@pytest.mark.parametrize("layer", ["first", "depthwise", "pointwise", "strided", "gemm"])
def test_a_bad_layer_is_the_worst(quantized: Quantized, layer: str) -> None:
    errors = noise(layerwise(coarser_weights(quantized, layer, 4), DATA))
    assert max(errors, key=lambda name: errors[name]) == layer
    usual = noise(layerwise(quantized, DATA))
    assert {name for name, one in errors.items() if one != usual[name]} == {layer}


def test_int16_is_almost_exact() -> None:
    errors = layerwise(tinsmith.quantize(pyramid(), pictures(16), "esp32p4", bits=16), DATA)
    assert all(0 < error.noise < 1e-7 and error.cosine == pytest.approx(1) for error in errors)


def test_values_inside_the_network(quantized: Quantized) -> None:
    errors = noise(layerwise(quantized, DATA, outputs=["s"]))
    assert [name for name, one in errors.items() if one > 0] == ["first", "depthwise", "pointwise", "sum"]
    with pytest.raises(DataError, match=r"output 'c1': is no float value that a layer leaves behind.*Close to it"):
        layerwise(quantized, DATA, outputs=["c1"])


def test_a_network_without_float_outputs() -> None:
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["y"], "gemm"),
        helper.make_node("Gemm", ["x", "w"], ["z"], "other", transB=1),
        helper.make_node("Greater", ["y", "z"], ["larger"], "greater"),
    ]
    model = model_of(nodes, {"x": (1, 4)}, ["larger"], {"w": rng.normal(0, 1, (4, 4))}, {"larger": TensorProto.BOOL})
    data = rng.normal(0, 1, (8, 1, 4)).astype(np.float32)
    found = tinsmith.quantize(model, data, "esp32p4", effort="fast")
    with pytest.raises(ModelError, match="has no float output to look at"):
        layerwise(found, data)
    assert set(noise(layerwise(found, data, outputs=["y"]))) == {"gemm", "other"}


def test_samples_come_from_all_over_the_data(quantized: Quantized, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int | None]] = []
    data = pictures(20, seed=3)
    some = layerwise(quantized, data, 3, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert some == layerwise(quantized, data[[0, 6, 13]])
    assert some == layerwise(quantized, iter(data[[0, 6, 13, 14]]), 3)
    monkeypatch.setattr(module, "WORK", 0.0)
    assert layerwise(quantized, data) == layerwise(quantized, data[::5])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "archive", "key"),
    [("resnet8_cifar10", "cifar10_2000.npz", "X"), ("lightgesturenet_signdigits", "signdigits96.npz", "X")],
)
def test_real_networks_rank_as_by_the_direct_method(model: str, archive: str, key: str) -> None:
    path, data = shared_path(f"data/models/{model}.onnx"), np.load(shared_path(f"data/{archive}"))[key]
    pixels = data[:48].astype(np.float32)
    samples = pixels.transpose(0, 3, 1, 2) if pixels.shape[-1] == 3 else pixels.reshape(48, 1, 96, 96) / 255
    found = tinsmith.quantize(str(path), samples[16:], "esp32p4")
    name = found.network.inputs[0].name
    errors, direct = noise(layerwise(found, samples[:16], 8)), alone(found, samples[:16], name)
    assert ranks(list(errors.values())) @ ranks(list(direct.values())) > 0.95


def ranks(values: list[float]) -> NDArray[np.float64]:
    """Ranks of different values, centred and of length 1: their product is Spearman's correlation."""
    found = np.argsort(np.argsort(values)).astype(np.float64)
    found -= found.mean()
    return found / np.linalg.norm(found)
