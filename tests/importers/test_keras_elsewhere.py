"""Keras on another backend: the model is converted in a process that runs it on PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.importers.contract import assert_agrees
from tests.importers.keras_nets import keras, layers, results, sample, sequential
from tinsmith.errors import ModelError
from tinsmith.importers import load
from tinsmith.importers.hints import Hints
from tinsmith.importers.keras import elsewhere


@pytest.fixture
def other_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras says that it runs on another backend, as it would with KERAS_BACKEND=jax."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")


def model_of_rows() -> Any:
    return sequential((None, 4), layers.GRU(3, name="rec"), layers.Dense(2, name="head"))


def test_a_model_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of_rows()
    inputs = sample(model, shapes={"x": (1, 5, 4)})
    expected = results(model, inputs)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    canonical = assert_agrees(model, inputs, expected, example_input=inputs)
    assert {"rec", "head"} <= {node.name for node in canonical.graph}


@pytest.mark.slow
def test_errors_come_back_whole(other_backend: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"^the Keras model 'net', input 'x': its shape .* leaves axes open"):
        load(model_of_rows())

    class Twice(layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return 2 * x

    path = tmp_path / "own.keras"
    own = sequential((4,), Twice())
    own.save(path)
    for source in (own, path):
        with pytest.raises(ModelError, match=r"not Keras' own: 'Twice'\. Start Python with KERAS_BACKEND=torch"):
            load(source)
    monkeypatch.setattr(elsewhere, "_RUN", "raise SystemExit('no memory')")
    with pytest.raises(ModelError, match=r"it cannot be converted: no memory\. Start Python with KERAS_BACKEND=torch"):
        load(path)


def test_a_model_that_cannot_be_saved(other_backend: None, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of_rows()

    def fails(path: Path) -> None:
        raise NotImplementedError("get_config")

    object.__setattr__(model, "save", fails)
    with pytest.raises(ModelError, match=r"'net': it cannot be saved: .*get_config.*KERAS_BACKEND=torch"):
        load(model, Hints(np.zeros((1, 5, 4))))


@pytest.mark.slow
def test_only_our_import_chooses_the_backend(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    sequential((4,), layers.Dense(2)).save(path)
    code = (
        "import os, sys; from tinsmith.importers import load; assert 'keras' not in sys.modules; "
        f"load({str(path)!r}); import keras; print(keras.backend.backend(), os.environ['KERAS_BACKEND'])"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.returncode) == (["torch", "jax"], 0), done.stderr
