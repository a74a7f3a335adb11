"""PyTorch modules as ONNX files whose operators have the names that scripts know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinsmith.compat.esp_ppq.samples import parts, shapes_of
from tinsmith.errors import ModelError
from tinsmith.extras import require

_OTHER_NAMES = (
    "torch cannot export it by tracing ({reason}), and captured its graph instead: operators go by the paths of their "
    "modules."
)


def export_module(model: Any, path: Path, input_shape: Any, inputs: Any, opset: int) -> list[str]:
    """Write a module as an ONNX file.

    torch's exporter by tracing names operators as scripts know them. What it cannot export is read as
    `tinsmith.quantize` reads it.

    Args:
        model: The module; its mode is what it was afterwards.
        path: Where to write; folders are made as needed.
        input_shape: One shape, or one for each input.
        inputs: What to trace with; zeros of these shapes by default.
        opset: Of the file.

    Returns:
        What to tell the user.

    Raises:
        MissingExtraError: torch or what its exporter needs is not installed.
        ModelError: It is no module, or torch cannot export it at all.
    """
    torch = require("torch", "torch", "reading PyTorch models")
    require("onnxscript", "torch", "reading PyTorch models")
    if not isinstance(model, torch.nn.Module):
        raise ModelError(f"a {type(model).__name__} is no torch.nn.Module.", subject="model")
    from tinsmith.importers.reasons import innermost
    from tinsmith.importers.silence import silence
    from tinsmith.importers.torch.slips import no_log

    device = next((parameter.device for parameter in model.parameters()), None)
    given = parts(inputs) or [torch.zeros(shape) for shape in shapes_of(input_shape)]
    given = [torch.as_tensor(one).to(device) for one in given]
    path.parent.mkdir(parents=True, exist_ok=True)
    with _evaluating(model):
        try:
            with (
                silence(),
                no_log(torch),
            ):  # with gradients: without, attention is one fused operation that has no ONNX form
                torch.onnx.export(model, tuple(given), str(path), opset_version=opset, dynamo=False)
        except Exception as error:  # torch raises anything
            reason = innermost(error).rstrip(".")
        else:
            return []
        _capture(model, tuple(given), path)
    return [_OTHER_NAMES.format(reason=reason)]


def _capture(model: Any, given: tuple[Any, ...], path: Path) -> None:
    import onnx_ir as ir

    from tinsmith import importers
    from tinsmith.importers.hints import Hints

    ir.save(importers.load(model, Hints(example_input=given)), path)


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """The module in evaluation mode; each part has its own mode again afterwards."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
