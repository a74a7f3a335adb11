"""From a file, or a model in memory, to a float `ir.Model`: one file per source format.

An importer is a module with ``load(source, hints) -> ir.Model``; `load` here decides which of them reads a source.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.errors import ModelError
from tinsmith.importers.hints import Hints
from tinsmith.importers.recognize import tensorflow_kind

if TYPE_CHECKING:
    import onnx_ir as ir

_ACCEPTED = (
    "Accepted: the path of an .onnx, .pt2, .keras, .h5 or .tflite file or of a TensorFlow SavedModel; the bytes of an "
    "ONNX or TFLite file; a PyTorch, Keras, ONNX or onnx_ir model in memory."
)
_HEAD = 4096
_SUFFIXES = {
    ".pt2": "torch",
    ".pt": "torch",
    ".pth": "torch",
    ".torchscript": "torch",
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".tflite": "tflite",
    ".lite": "tflite",
}
_PACKAGES = {
    "onnx": "onnx",
    "onnx_ir": "onnx",
    "torch": "torch",
    "keras": "keras",
    "tf_keras": "tensorflow",
    "tensorflow": "tensorflow",
}


def load(source: Any, hints: Hints | None = None) -> ir.Model:
    """Loads a float model from whatever it comes in.

    Args:
        source: The path of a file or folder, the bytes of an ONNX or TFLite file, or a model in memory: of ONNX,
            onnx_ir, PyTorch, Keras or TensorFlow. Never modified.
        hints: What the source does not say by itself.

    Returns:
        The model as it is in the source: any opset, any shapes. `tinsmith.graph.canonicalize` is next.

    Raises:
        ModelError: The source cannot be read, is invalid, or is of a kind that is not supported.
        MissingExtraError: The framework is needed, and not installed.
    """
    name = format_of(source)
    if name is None:
        raise _no_model(source)
    model: ir.Model = importlib.import_module(f"tinsmith.importers.{name}").load(source, hints or Hints())
    return model


def format_of(source: Any) -> str | None:
    """The module that reads a source, such as ``onnx``; None where none does."""
    if isinstance(source, (str, Path)):
        return _of_path(Path(source))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "tflite" if bytes(source[4:8]) == b"TFL3" else "onnx"
    packages = (base.__module__.partition(".")[0] for base in type(source).__mro__)
    return next((_PACKAGES[package] for package in packages if package in _PACKAGES), None)


def _no_model(source: Any) -> ModelError:
    """For what people give by mistake: the class of a model, its weights."""
    if isinstance(source, type):
        return ModelError(
            f"{source.__name__} is a class, not a model.", hint=f"Give an instance: {source.__name__}(…)."
        )
    if isinstance(source, Mapping):
        hint = "Build the model, load the weights into it (load_state_dict), and give the model."
        return ModelError(f"a {type(source).__name__} may hold weights, and is not a model.", hint=hint)
    return ModelError(f"a {type(source).__name__} is not a model.", hint=_ACCEPTED)


def _of_path(path: Path) -> str:
    if path.is_dir():
        return "tensorflow"
    if path.suffix.lower() == ".pb" and path.is_file():
        with path.open("rb") as file:
            return "tensorflow" if tensorflow_kind(file.read(_HEAD)) else "onnx"
    return _SUFFIXES.get(path.suffix.lower(), "onnx")
