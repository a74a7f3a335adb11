"""From a file, or a model in memory, to a float `ir.Model`: one file per source format.

An importer is a module with ``load(source) -> ir.Model``; `load` here decides which of them reads a source.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.errors import ModelError
from tinsmith.importers.recognize import SUFFIXES

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

_FRAMEWORKS = {
    "torch": "torch.onnx.export(model, inputs, 'model.onnx', dynamo=True)",
    "keras": "model.export('model.onnx', format='onnx')",
    "tensorflow": "python -m tf2onnx.convert",
}
_ACCEPTED = "Accepted: the path of an .onnx file, its bytes, an onnx.ModelProto, or an onnx_ir.Model."


def load(source: str | Path | bytes | onnx.ModelProto | ir.Model) -> ir.Model:
    """Loads a float model from whatever it comes in.

    Args:
        source: The path of a file, the bytes of an ONNX file, or a model in memory. Never modified.

    Returns:
        The model as it is in the source: any opset, any shapes. `tinsmith.graph.canonicalize` is next.

    Raises:
        ModelError: The source cannot be read, is invalid, or is of a kind that is not supported.
    """
    if isinstance(source, (str, Path)):
        _refuse_path(Path(source))
    elif not isinstance(source, (bytes, bytearray, memoryview)) and not _is_onnx(source):
        raise _refusal(source)
    from tinsmith.importers import onnx

    return onnx.load(source)


def _refuse_path(path: Path) -> None:
    """Raises for files of other formats."""
    suffix = path.suffix.lower()
    found = SUFFIXES.get(suffix)
    if found is not None:
        raise ModelError(f"{found.kind} is not supported yet.", subject=str(path), hint=found.way_out)
    if path.is_dir() and (path / "saved_model.pb").exists():
        raise ModelError(
            "a TensorFlow saved model is not supported yet.",
            subject=str(path),
            hint=f"Export it to ONNX: python -m tf2onnx.convert --saved-model {path} --output model.onnx.",
        )


def _is_onnx(source: object) -> bool:
    return any(base.__module__.partition(".")[0] in ("onnx", "onnx_ir") for base in type(source).__mro__)


def _refusal(source: Any) -> ModelError:
    for base in type(source).__mro__:
        framework = base.__module__.partition(".")[0]
        if framework in _FRAMEWORKS:
            return ModelError(
                f"{framework} models are not supported yet.",
                subject=type(source).__name__,
                hint=f"Export it to ONNX: {_FRAMEWORKS[framework]}.",
            )
    return ModelError(f"a {type(source).__name__} is not a model.", hint=_ACCEPTED)
