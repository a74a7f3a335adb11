"""Conversion in a process of its own, where Keras runs on another backend in this one."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from tinsmith import errors
from tinsmith.errors import ModelError, TinsmithError
from tinsmith.importers.hints import Hints
from tinsmith.importers.onnx import load as load_onnx
from tinsmith.importers.reasons import innermost
from tinsmith.importers.silence import silence

_MODEL, _HINTS, _RESULT, _ERROR = "model.keras", "hints.pickle", "result.onnx", "error.json"
_RUN = "import sys; from tinsmith.importers.keras.elsewhere import work; work(*sys.argv[1:])"
_OTHER_BACKEND = (
    "Start Python with KERAS_BACKEND=torch, load it there, keras.saving.load_model(path, custom_objects={…}), and give "
    "the model in memory."
)


def convert_model(model: Any, hints: Hints) -> ir.Model:
    """A model in memory.

    Raises:
        ModelError: It cannot be saved, or loaded again without the user's own classes.
    """
    subject = f"the Keras model {model.name!r}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _MODEL
        try:
            with silence():
                model.save(path)
        except Exception as error:  # whatever the layers of a user raise
            raise ModelError(f"it cannot be saved: {innermost(error)}", subject=subject, hint=_OTHER_BACKEND) from error
        return _converted(path, hints, subject, Path(folder))


def convert_file(path: Path, hints: Hints) -> ir.Model:
    """A file.

    Raises:
        ModelError: As `tinsmith.importers.keras.load`.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _converted(path, hints, str(path), Path(folder))


def work(source: str, subject: str, folder: str) -> None:
    """What the other process does: converts a file, and leaves the result or the error in the folder."""
    from tinsmith.importers.keras.backend import keras_on_torch
    from tinsmith.importers.keras.files import opened
    from tinsmith.importers.keras.tracing import trace

    place = Path(folder)
    shapes, example = pickle.loads((place / _HINTS).read_bytes())
    try:
        keras = keras_on_torch()
        assert keras is not None
        model = trace(keras, opened(keras, Path(source), subject, _OTHER_BACKEND), Hints(example, shapes), subject)
        ir.save(model, place / _RESULT)
    except TinsmithError as error:
        told = {"kind": type(error).__name__, "reason": error.reason, "subject": error.subject, "hint": error.hint}
        (place / _ERROR).write_text(json.dumps(told), encoding="utf-8")


def _converted(path: Path, hints: Hints, subject: str, folder: Path) -> ir.Model:
    shapes = {name: tuple(shape) for name, shape in hints.input_shapes.items()}
    (folder / _HINTS).write_bytes(pickle.dumps((shapes, _arrays(hints.example_input))))
    environment = {
        **os.environ,
        "KERAS_BACKEND": "torch",
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
    }
    command = [sys.executable, "-c", _RUN, str(path.absolute()), subject, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if (folder / _ERROR).exists():
        told = json.loads((folder / _ERROR).read_text(encoding="utf-8"))
        kind: type[TinsmithError] = getattr(errors, told["kind"])
        raise kind(told["reason"], subject=told["subject"], hint=told["hint"])
    if not (folder / _RESULT).exists():
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"the process ended with {done.returncode}"
        raise ModelError(f"it cannot be converted: {reason}.", subject=subject, hint=_OTHER_BACKEND)
    # From the bytes, for the file is gone with its folder.
    return load_onnx((folder / _RESULT).read_bytes())


def _arrays(example: Any) -> Any:
    """The same example made of arrays, whatever framework its tensors are of."""
    if example is None:
        return None
    if isinstance(example, Mapping):
        return {name: _arrays(value) for name, value in example.items()}
    if isinstance(example, (tuple, list)):
        return [_arrays(value) for value in example]
    return np.asarray(example)
