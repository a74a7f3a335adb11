"""PyTorch models: modules in memory, exported programs and ``.pt2`` files, TorchScript.

PyTorch's own exporters write the ONNX graph, unoptimized: `tinsmith.graph` sees every node with the module it belongs
to, and does what the optimizer would.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.errors import ModelError
from tinsmith.extras import require
from tinsmith.importers.hints import Hints
from tinsmith.importers.torch.export import from_module, from_program, from_script, settled
from tinsmith.importers.torch.files import open_file
from tinsmith.importers.torch.slips import refuse_lost

if TYPE_CHECKING:
    import onnx_ir as ir

_ACCEPTED = "Give the nn.Module, an ExportedProgram, or the path of a .pt2 or TorchScript file."


def load(source: Any, hints: Hints) -> ir.Model:
    """Loads a PyTorch model.

    Args:
        source: An `nn.Module`, `torch.export.ExportedProgram`, `torch.jit.ScriptModule` or `torch.onnx.ONNXProgram`, or
            the path of a file of `torch.export.save` or `torch.jit.save`. Never modified: a module is exported from a
            copy, in evaluation mode.
        hints: Modules and TorchScript need an example input, shapes or data.

    Returns:
        The graph with batch 1, inputs by the names of ``forward``'s arguments, outputs in order (the contents of dicts
        and tuples one by one), nodes by the path of their module.

    Raises:
        ModelError: The file holds no program; the model does not run on the example input; no exporter can convert it.
        UnsupportedError: An exporter would write something else than the model computes.
        MissingExtraError: torch is not installed.
    """
    torch = require("torch", "torch", "reading PyTorch models")
    subject = "the model"
    if isinstance(source, (str, Path)):
        subject = str(source)
        source = open_file(torch, Path(source))
    if isinstance(source, torch.export.ExportedProgram):
        return from_program(torch, source, subject)
    if isinstance(source, torch.onnx.ONNXProgram):
        refuse_lost(source.exported_program)
        return settled(source.model)
    if isinstance(source, torch.jit.ScriptModule):
        return from_script(torch, source, hints, subject)
    if isinstance(source, torch.nn.Module):
        return from_module(torch, source, hints)
    kind = type(source).__name__
    raise ModelError(f"a {kind} of PyTorch is not a model.", hint=_ACCEPTED)
