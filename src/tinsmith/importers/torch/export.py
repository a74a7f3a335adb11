"""PyTorch's exporters: the one that captures graphs, and the older one that records a run."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import onnx_ir as ir

from tinsmith.errors import ModelError, TinsmithError
from tinsmith.importers import onnx as onnx_importer
from tinsmith.importers.hints import Hints
from tinsmith.importers.notes import add_note
from tinsmith.importers.reasons import innermost
from tinsmith.importers.silence import silence
from tinsmith.importers.torch.arguments import named_tensors
from tinsmith.importers.torch.example import Example, find_example
from tinsmith.importers.torch.names import name_ends, name_nodes, place_nodes
from tinsmith.importers.torch.slips import no_log, refuse_lost

_OPSET = 18
_WAY_OUT = "Write that part with other operations, or export to ONNX in another way and give the .onnx file."
_RECORDED = (
    "PyTorch's older exporter was used, which records one run: choices that depend on data stay as they were for the "
    "example input. The newer one says: "
)


def from_module(torch: ModuleType, source: Any, hints: Hints) -> ir.Model:
    """A module in memory, through the first exporter that can convert it."""
    source = _unwrapped(torch, source)
    subject = type(source).__name__
    if any(tensor.is_meta for tensor in (*source.parameters(), *source.buffers())):
        raise ModelError("its weights are on the meta device: there are none.", subject=subject, hint="Load them.")
    if any(torch.nn.parameter.is_lazy(tensor) for tensor in (*source.parameters(), *source.buffers())):
        reason = "its lazy layers have no weights before it has been called once."
        raise ModelError(reason, subject=subject, hint="Load its weights, or call it.")
    with _copy(torch, source) as module:
        example = find_example(torch, module, hints, subject)
        try:
            with silence(), torch.no_grad():
                model = captured(torch, module, *example.call.args, **example.call.kwargs)
        except TinsmithError:
            raise
        except Exception as error:  # of any kind, from deep inside
            reason = innermost(error)
            model = _recorded(torch, module, example, subject, f"{reason} The older exporter: ")
            add_note(model, _RECORDED + reason)
        return settled(_named(model, example))


def from_program(torch: ModuleType, program: Any, subject: str) -> ir.Model:
    """An exported program, which has its shapes and its graph."""
    try:
        with silence():
            model = captured(torch, program)
    except TinsmithError:
        raise
    except Exception as error:  # of any kind, from deep inside
        raise ModelError(f"cannot be converted: {innermost(error)}", subject=subject, hint=_WAY_OUT) from error
    return settled(model)


def from_script(torch: ModuleType, source: Any, hints: Hints, subject: str) -> ir.Model:
    """TorchScript, which only the older exporter reads."""
    with _copy(torch, source) as module:
        example = find_example(torch, module, hints, subject)
        return settled(_named(_recorded(torch, module, example, subject, ""), example))


def settled(model: ir.Model) -> ir.Model:
    """The model with nodes by the paths of modules, and with weights of its own."""
    name_nodes(model.graph)
    own_weights(model.graph)
    return model


def captured(torch: ModuleType, program: Any, /, *args: Any, **kwargs: Any) -> ir.Model:
    """The graph of a module called with some arguments, or of an exported program, unoptimized.

    Raises:
        UnsupportedError: The exporter has left a part out.
    """
    written = torch.onnx.export(program, args, kwargs=kwargs, dynamo=True, verbose=False, optimize=False)
    refuse_lost(written.exported_program)
    model: ir.Model = written.model
    return model


def own_weights(graph: ir.Graph) -> None:
    """Copies the weights, so that they stay as they are when somebody goes on training the model."""
    for value in graph.initializers.values():
        if (tensor := value.const_value) is not None:
            value.const_value = ir.Tensor(tensor.numpy().copy(), dtype=tensor.dtype, name=tensor.name)


def _recorded(torch: ModuleType, module: Any, example: Example, subject: str, before: str) -> ir.Model:
    call, written = example.call, io.BytesIO()
    names = list(call.named_leaves())
    try:
        with silence(), no_log(torch), torch.no_grad():
            torch.onnx.export(
                module,
                (*call.args, dict(call.kwargs)) if call.kwargs else call.args,
                written,
                dynamo=False,
                opset_version=_OPSET,
                input_names=names,
            )
        model = onnx_importer.load(written.getvalue())
    except Exception as error:
        reason = f"cannot be converted: {before}{innermost(error)}"
        raise ModelError(reason, subject=subject, hint=_WAY_OUT) from error
    place_nodes(model.graph, {path for path, _ in module.named_modules()})
    return model


def _named(model: ir.Model, example: Example) -> ir.Model:
    """The model with inputs named like arguments, and outputs like the keys of what it gives where it has any."""
    outputs = [name for name, _ in named_tensors(_keyed(example.result), "")]
    name_ends(model.graph, list(example.call.named_leaves()), outputs)
    return model


def _keyed(result: Any) -> Mapping[str, Any]:
    if hasattr(result, "_asdict"):
        return dict(result._asdict())
    return dict(result) if isinstance(result, Mapping) else {}


def _unwrapped(torch: ModuleType, module: Any) -> Any:
    """What a compiled or a parallel module wraps."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
            inner = module.module
        if not isinstance(inner, torch.nn.Module):
            return module
        module = inner


@contextmanager
def _copy(torch: ModuleType, source: Any) -> Iterator[Any]:
    """A copy in evaluation mode; where a module cannot be copied, itself, put back afterwards as it was."""
    try:
        with torch.no_grad(), silence():
            module = copy.deepcopy(source)
    except Exception:  # tensors that are results of computations, for one
        module = None
    if module is not None:
        module.eval()
        yield module
        return
    modes = [(part, part.training) for part in source.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in source.buffers()]
    try:
        source.eval()
        yield source
    finally:
        for part, training in modes:
            part.training = training
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
