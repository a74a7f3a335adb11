"""PyTorch modules as ONNX files whose operators have the names that scripts know."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinsmith.compat.esp_ppq.samples import parts, shapes_of
from tinsmith.errors import ModelError
from tinsmith.extras import require


def export_module(model: Any, path: Path, input_shape: Any, inputs: Any, opset: int) -> Path:
    """Write a module as an ONNX file with torch's exporter by tracing, which names operators after modules.

    Args:
        model: The module; its mode and device are what they were afterwards.
        path: Where to write; folders are made as needed.
        input_shape: One shape, or one for each input.
        inputs: What to trace with; zeros of these shapes by default.
        opset: Of the file.

    Returns:
        The path.

    Raises:
        MissingExtraError: torch is not installed.
        ModelError: It is no module, or torch cannot export it.
    """
    torch = require("torch", "torch", "reading PyTorch models")
    if not isinstance(model, torch.nn.Module):
        raise ModelError(f"a {type(model).__name__} is no torch.nn.Module.", subject="model")
    given = parts(inputs) or [torch.zeros(shape) for shape in shapes_of(input_shape)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with _evaluating(torch, model):
        try:
            torch.onnx.export(model, tuple(given), str(path), opset_version=opset, dynamo=False)
        except Exception as error:  # torch raises anything
            reason = f"torch cannot export it by tracing: {str(error).strip().splitlines()[0][:300]}"
            raise ModelError(reason, subject=type(model).__name__, hint="Export it to ONNX yourself.") from error
    return path


@contextmanager
def _evaluating(torch: Any, model: Any) -> Iterator[None]:
    """The module in evaluation mode; each part has its own mode again afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
