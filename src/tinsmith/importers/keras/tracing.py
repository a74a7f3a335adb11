"""From a Keras model on the torch backend to an ONNX graph.

PyTorch's exporter follows a call of the model, on which every layer stands in a module of its own: so every node knows
its layer. The model itself is not copied: a few methods of its layers are covered for that one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import onnx_ir as ir

from tinsmith.errors import ModelError, TinsmithError, UnsupportedError
from tinsmith.extras import require
from tinsmith.importers.hints import Hints
from tinsmith.importers.keras.covers import covers
from tinsmith.importers.keras.inputs import Call, call_of
from tinsmith.importers.keras.names import name_graph, output_names
from tinsmith.importers.reasons import innermost
from tinsmith.importers.silence import silence
from tinsmith.importers.torch.export import captured, own_weights

_MISSING = object()


def trace(keras: ModuleType, model: Any, hints: Hints, subject: str) -> ir.Model:
    """Converts a model.

    Args:
        keras: The package, on the torch backend.
        model: Of it; not modified.
        hints: As `tinsmith.importers.keras.inputs.call_of` takes them.
        subject: What messages call the model.

    Raises:
        ModelError: The model cannot be called with what the hints say, or not be converted; names the layer.
        UnsupportedError: A layer keeps its state between calls, or leaves steps out by a mask.
    """
    torch = require("torch", "keras", "reading Keras models")
    if not isinstance(model, keras.Model):
        raise ModelError(f"a {type(model).__name__} is not a keras.Model.", subject=subject)
    call = call_of(keras, model, hints, subject)
    paths = _paths(keras, model)
    _refuse_stateful(keras, paths)
    stage = _Stage(torch)
    examples = tuple(keras.ops.zeros(one.shape, dtype=one.dtype) for one in call.inputs)
    with _covered(keras, torch, paths, stage) as (modules, names):
        try:
            with silence(), torch.no_grad():
                root = _root(keras, torch, model, call, modules)
                result = captured(torch, root, *examples)
        except Exception as error:  # of any kind, from deep inside
            raise _explained(stage.error or error, stage.failed, subject) from error
    name_graph(result.graph, names, [one.name for one in call.inputs], output_names(keras, model))
    result.graph.name = str(model.name)
    own_weights(result.graph)
    return result


class _Stage:
    """Runs layers in modules of PyTorch, and keeps the first error, before Keras rewords it, with its layer."""

    def __init__(self, torch: ModuleType) -> None:
        self.torch = torch
        self.failed = ""
        self.error: Exception | None = None

    def module(self, path: str, compute: Callable[..., Any]) -> Any:
        """A module that computes what a function computes."""
        stage = self

        class Layer(self.torch.nn.Module):  # type: ignore[misc, name-defined]  # torch is a value here, not a module
            def forward(self, *args: Any, **options: Any) -> Any:
                try:
                    return compute(*args, **options)
                except Exception as error:
                    if stage.error is None:
                        stage.failed, stage.error = path, error
                    raise

        return Layer()


def _root(keras: ModuleType, torch: ModuleType, model: Any, call: Call, modules: Mapping[str, Any]) -> Any:
    """The module that is exported: it takes tensors one by one."""

    class Root(torch.nn.Module):  # type: ignore[misc, name-defined]  # as above
        def forward(self, *tensors: Any) -> Any:
            result = model(keras.tree.pack_sequence_as(call.structure, list(tensors)))
            given: list[Any] = []
            for tensor in keras.tree.flatten(result):
                # The output and the state of an LSTM, for one, are the same.
                given.append(tensor.clone() if any(tensor is other for other in (*given, *tensors)) else tensor)
            return tuple(given)

    root = Root()
    for key, module in modules.items():
        root.add_module(key, module)
    return root.eval()


def _paths(keras: ModuleType, model: Any) -> dict[str, Any]:
    """What computes in a model by its name, behind the name of the layer that it is part of."""
    found: dict[str, Any] = {}
    seen: set[int] = {id(model)}

    def visit(parent: Any, prefix: str) -> None:
        # Operations of a functional model that are no layers: the sum of two tensors, for one.
        inner = getattr(parent, "_functional", None) or parent
        for part in (*parent._flatten_layers(include_self=False, recursive=False), *getattr(inner, "operations", ())):
            if id(part) in seen or isinstance(part, keras.layers.InputLayer):
                continue
            seen.add(id(part))
            if part is inner:
                visit(part, prefix)
                continue
            path = name = f"{prefix}{part.name}"
            number = 0
            while path in found:
                number += 1
                path = f"{name}_{number}"
            found[path] = part
            if isinstance(part, keras.Layer):
                visit(part, f"{path}.")

    visit(model, "")
    return found


def _refuse_stateful(keras: ModuleType, paths: Mapping[str, Any]) -> None:
    for path, layer in paths.items():
        if isinstance(layer, keras.layers.RNN) and layer.stateful:
            raise UnsupportedError(
                "it keeps its state from one call to the next (stateful=True).",
                subject=path,
                hint="Build the model with stateful=False, and the states as inputs and outputs where they are needed.",
            )


@contextmanager
def _covered(
    keras: ModuleType, torch: ModuleType, paths: Mapping[str, Any], stage: _Stage
) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Covers what layers compute by modules, which it gives by key, and the paths by key."""
    covered: list[tuple[dict[str, Any], str, Any]] = []
    modules: dict[str, Any] = {}
    names: dict[str, str] = {}
    try:
        for number, (path, layer) in enumerate(paths.items()):
            key = f"layer{number}"
            standing_in = covers(keras, torch, layer)
            compute = standing_in.pop("call", layer.call)
            modules[key] = standing_in["call"] = stage.module(path, compute)
            names[key] = path
            for name, cover in standing_in.items():
                covered.append((layer.__dict__, name, layer.__dict__.get(name, _MISSING)))
                layer.__dict__[name] = cover
        yield modules, names
    finally:
        for attributes, name, before in reversed(covered):
            if before is _MISSING:
                del attributes[name]
            else:
                attributes[name] = before


def _explained(error: Exception, layer: str, subject: str) -> TinsmithError:
    """What went wrong, for the user."""
    if isinstance(error, TinsmithError):
        return error
    place = f"{subject}, layer {layer!r}" if layer else subject
    return ModelError(
        f"PyTorch's exporter cannot convert it: {innermost(error)}",
        subject=place,
        hint="Write that part with other layers, or export to ONNX in another way and give the .onnx file.",
    )
