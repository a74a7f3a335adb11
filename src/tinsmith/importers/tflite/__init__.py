"""`.tflite` files, read natively: TensorFlow is not needed.

What the file has is what comes out: inputs and outputs keep their shapes (pictures are channels-last) and the names of
their tensors, values and nodes have the names of the tensors they compute.

Quantized models, whole or in part, become the float models they stand for: constants are the real numbers that their
integers mean, and the ranges of quantized tensors are the ranges of the values (`tinsmith.graph.ranges`), by which the
model is quantized again where no data are given. Inputs and outputs of integers become real numbers: where the original
took ``q``, the model takes ``(q - zero_point) * scale``.

One function per operator, one file per family: `tinsmith.importers.tflite.families`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tinsmith.errors import ModelError
from tinsmith.importers.hints import Hints

if TYPE_CHECKING:
    import onnx_ir as ir


def load(source: str | Path | bytes | bytearray | memoryview, hints: Hints | None = None) -> ir.Model:
    """Loads a TensorFlow Lite model.

    Args:
        source: The path of a file, or its bytes.
        hints: Not needed: `tinsmith.graph.canonicalize` takes the shapes of inputs.

    Returns:
        The model in float; operators that have no counterpart in ONNX are nodes that `tinsmith.graph.canonicalize`
        refuses, unless the model is cut before them.

    Raises:
        ModelError: The file is absent, no TensorFlow Lite model, damaged, or contradicts itself.
    """
    from tinsmith.importers.tflite.file import read
    from tinsmith.importers.tflite.translate import translate

    data, subject = _bytes(source)
    return translate(read(data, subject), subject)


def _bytes(source: str | Path | bytes | bytearray | memoryview) -> tuple[bytes, str]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), "the model's bytes"
    path = Path(source)
    if not path.is_file():
        reason = "this is not a file." if path.exists() else "the file does not exist."
        raise ModelError(reason, subject=str(path))
    try:
        return path.read_bytes(), str(path)
    except OSError as error:
        raise ModelError(f"the file cannot be read: {error.strerror}.", subject=str(path)) from error
