"""TensorFlow: SavedModel folders, frozen graphs, and models in memory, through tf2onnx.

A source becomes a frozen graph, whose variables are constants (`tinsmith.importers.tensorflow.sources`), and that an
ONNX model (`tinsmith.importers.tensorflow.convert`). Inputs and outputs keep their names and layout: those of the
signature; without one the arguments' names, and ``output_0``, ``output_1`` as TensorFlow itself calls them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx_ir as ir

from tinsmith.errors import ModelError
from tinsmith.extras import require
from tinsmith.importers import onnx
from tinsmith.importers.hints import Hints
from tinsmith.importers.recognize import tensorflow_kind
from tinsmith.importers.tensorflow import convert, sources
from tinsmith.importers.tensorflow.silence import silent

_CALL = re.compile(r"^((Stateful)?PartitionedCall(_\d+)?/)+")
"""What TensorFlow puts before the names of a SavedModel's layers."""
_EXTRA = "tensorflow"
_PURPOSE = "reading TensorFlow models"
_SAVED = "saved_model.pb"
_READABLE = (".onnx", ".pt2", ".pt", ".keras", ".h5", ".tflite", ".pb")


def load(source: Any, hints: Hints | None = None) -> ir.Model:
    """Loads a TensorFlow model.

    Args:
        source: The path of a SavedModel folder, of the ``saved_model.pb`` in one or of a frozen graph (``.pb``); in
            memory a `tf.Module`, a `tf.function`, one of its concrete functions, a loaded SavedModel, or a Keras model
            that runs on TensorFlow. Not modified.
        hints: The example input, by which a function without a signature is traced, and shapes of inputs, in place of
            those that are open.

    Returns:
        The model as tf2onnx converts it.

    Raises:
        ModelError: It cannot be read, or an operation has no counterpart in ONNX; names it.
        MissingExtraError: TensorFlow or tf2onnx is not installed.
    """
    hints = hints or Hints()
    in_memory = not isinstance(source, (str, Path))
    subject = f"the {type(source).__name__}" if in_memory else str(source)
    path = None if in_memory else _file_or_folder(Path(source))
    with silent():
        require("tensorflow", _EXTRA, _PURPOSE)
        require("tf2onnx", _EXTRA, _PURPOSE)
        if path is None:
            frozen = sources.from_memory(source, hints, subject)
        elif path.is_dir():
            frozen = sources.from_folder(path, hints, subject)
        else:
            frozen = sources.from_graph(path, hints, subject)
        proto = convert.to_onnx(frozen, subject)
    try:
        model = onnx.load(proto)
    except ModelError as error:
        raise ModelError(error.reason, subject=subject, hint=convert.WAY_OUT) from error
    for node in model.graph:
        node.name = _CALL.sub("", node.name or "")
    return model


def _file_or_folder(path: Path) -> Path:
    """The folder of a SavedModel, or the file of a frozen graph.

    Raises:
        ModelError: It is neither.
    """
    if path.is_dir():
        if (path / _SAVED).exists():
            return path
        raise ModelError(f"the folder holds no {_SAVED}: it is not a SavedModel.", subject=str(path), hint=_meant(path))
    try:
        kind = tensorflow_kind(path.read_bytes())
    except OSError as error:
        raise ModelError(f"the file cannot be read: {error.strerror}.", subject=str(path)) from error
    if kind == "graph":
        return path
    if kind == "saved model" and path.name == _SAVED:
        return path.parent
    reason = f"this is the {_SAVED} of a SavedModel under another name." if kind else "this is not a TensorFlow graph."
    hint = f"Give the folder in which it is {_SAVED}, beside its variables." if kind else ""
    raise ModelError(reason, subject=str(path), hint=hint)


def _meant(path: Path) -> str:
    """What in a folder may have been meant."""
    found: Sequence[Path] = [one.parent for one in sorted(path.glob(f"*/{_SAVED}"))]
    found = found or [one for one in sorted(path.iterdir()) if one.suffix.lower() in _READABLE]
    if found:
        return f"Did you mean {' or '.join(map(str, found[:3]))}?"
    return "Give the path of the model's file, or of the folder that tf.saved_model.save or model.export wrote."
