"""Recurrent networks as Keras and PyTorch export them: one layer each, the same results. Skipped without those."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.graph.models import assert_same_results, op_types
from tinsmith.graph import canonicalize
from tinsmith.importers import load

STEPS, INPUTS, HIDDEN = 4, 3, 5
SHAPES = {"Reshape", "Squeeze", "Unsqueeze"}


def layers(path: Path) -> list[str]:
    """What a file comes down to, without changes of shape; the results are those of the file."""
    source = load(path)
    canonical = canonicalize(source)
    assert_same_results(source, canonical)
    return [op_type for op_type in op_types(canonical) if op_type not in SHAPES]


KERAS: dict[str, tuple[Callable[[Any], list[Any]], list[str]]] = {
    "gru": (lambda k: [k.GRU(HIDDEN)], ["GRU"]),
    "gru, all steps": (lambda k: [k.GRU(HIDDEN, return_sequences=True)], ["GRU"]),
    "gru without biases": (lambda k: [k.GRU(HIDDEN, use_bias=False)], ["GRU"]),
    "gru backwards": (lambda k: [k.GRU(HIDDEN, go_backwards=True)], ["ReverseSequence", "GRU"]),
    "lstm": (lambda k: [k.LSTM(HIDDEN), k.Dense(2)], ["LSTM", "Gemm"]),
    "lstm, all steps": (lambda k: [k.LSTM(HIDDEN, return_sequences=True)], ["LSTM"]),
    "stacked": (lambda k: [k.GRU(HIDDEN, return_sequences=True), k.LSTM(4)], ["GRU", "LSTM"]),
    "both ways": (lambda k: [k.Bidirectional(k.GRU(HIDDEN))], ["GRU", "ReverseSequence", "GRU", "Concat"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KERAS)
def test_keras(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    if "KERAS_BACKEND" not in os.environ:
        monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "torch":
        pytest.skip("Keras runs on another backend than torch")
    make, expected = KERAS[name]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((STEPS, INPUTS)), *make(keras.layers)])
    model(np.zeros((1, STEPS, INPUTS), np.float32))
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.normal(0, 0.3, w.shape).astype(np.float32) for w in model.get_weights()])
    model.export(str(tmp_path / "model.onnx"), format="onnx", verbose=False)
    assert layers(tmp_path / "model.onnx") == expected


@pytest.mark.slow
@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("all_steps", [True, False])
def test_cells_of_torch_in_a_loop(kind: str, all_steps: bool, dynamo: bool, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    cell = torch.nn.LSTMCell(INPUTS, HIDDEN) if kind == "LSTM" else torch.nn.GRUCell(INPUTS, HIDDEN)

    class Layer(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, x: Any) -> Any:
            h, c, found = torch.zeros(1, HIDDEN), torch.zeros(1, HIDDEN), []
            for t in range(STEPS):
                h, c = self.cell(x[:, t], (h, c)) if kind == "LSTM" else (self.cell(x[:, t], h), c)
                found.append(h)
            return torch.stack(found, 1) if all_steps else h

    x = (torch.zeros(1, STEPS, INPUTS),)
    torch.onnx.export(Layer().eval(), x, str(tmp_path / "model.onnx"), dynamo=dynamo)
    assert layers(tmp_path / "model.onnx") == [kind]


@pytest.mark.slow
@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_layers_of_torch(kind: str, dynamo: bool, tmp_path: Path) -> None:
    """Two layers of two directions, batch first: nothing but changes of shape lies between."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    layer = getattr(torch.nn, kind)(INPUTS, HIDDEN, num_layers=2, bidirectional=True, batch_first=True).eval()

    class First(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any) -> Any:
            return self.layer(x)[0]

    x = (torch.zeros(1, STEPS, INPUTS),)
    torch.onnx.export(First().eval(), x, str(tmp_path / "model.onnx"), dynamo=dynamo)
    assert layers(tmp_path / "model.onnx") == [kind, kind]
