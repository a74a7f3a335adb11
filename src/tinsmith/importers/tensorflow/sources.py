"""From what TensorFlow models come in to frozen graphs."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinsmith.errors import ModelError
from tinsmith.importers.hints import Hints
from tinsmith.importers.reasons import sentence
from tinsmith.importers.tensorflow.convert import Frozen

_SERVING = "serving_default"
_EXAMPLE = "Give one: tinsmith.quantize(model, data, example_input=…), an array with its batch axis."
_NO_RESULT = frozenset({"NoOp", "Assert", "Const", "Placeholder", "PlaceholderWithDefault"})
_VARIABLES = frozenset({"VarHandleOp", "Variable", "VariableV2"})


def from_folder(path: Path, hints: Hints, subject: str) -> Frozen:
    """The graph of a SavedModel.

    Raises:
        ModelError: It cannot be loaded, or does not say which of its functions is meant.
    """
    tf = importlib.import_module("tensorflow")
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:  # files missing or of another version, operations of other libraries
        raise ModelError(f"TensorFlow cannot load it: {sentence(error)}", subject=subject) from error
    return from_memory(loaded, hints, subject)


def from_memory(source: Any, hints: Hints, subject: str) -> Frozen:
    """The graph of a model in memory.

    Raises:
        ModelError: It is not a model, has several signatures and none by the usual name, or must be traced and there is
            no example input.
    """
    try:
        concrete, names = _function(source, hints, subject)
        return _frozen(concrete, names, hints)
    except ModelError:
        raise
    except Exception as error:  # of the user's code, which runs while it is traced
        raise ModelError(f"TensorFlow cannot trace it: {sentence(error)}", subject=subject) from error


def from_graph(path: Path, hints: Hints, subject: str) -> Frozen:
    """A frozen graph from its file: inputs are its placeholders, outputs what nothing in it reads.

    Raises:
        ModelError: The file is damaged, the graph has variables, or no inputs or outputs.
    """
    tf = importlib.import_module("tensorflow")
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
        with tf.Graph().as_default():
            tf.import_graph_def(graph, name="")
    except Exception as error:  # of protobuf, or of operations that TensorFlow does not know
        raise ModelError(f"TensorFlow cannot load the graph: {sentence(error)}", subject=subject) from error
    variables = sorted(node.name for node in graph.node if node.op in _VARIABLES)
    if variables:
        hint = "Save the model as a SavedModel and give that folder, or freeze the graph."
        raise ModelError(f"the graph is not frozen: {variables[0]!r} is a variable.", subject=subject, hint=hint)
    read = {_node_of(name) for node in graph.node for name in node.input}
    inputs = [node.name for node in graph.node if node.op == "Placeholder"]
    outputs = [node.name for node in graph.node if node.name not in read and node.op not in _NO_RESULT]
    if not inputs or not outputs:
        raise ModelError(f"the graph has no {'outputs' if inputs else 'placeholders'}.", subject=subject)
    names = {f"{name}:0": name for name in (*inputs, *outputs)}
    return _named(graph, [f"{name}:0" for name in inputs], [f"{name}:0" for name in outputs], names, hints)


def _node_of(name: str) -> str:
    """The node of an input: ``^node`` for one that is only waited for, ``node:1`` for a second result."""
    return name.removeprefix("^").partition(":")[0]


# ---- functions


def _function(source: Any, hints: Hints, subject: str) -> tuple[Any, Sequence[str]]:
    """A concrete function, and names of its outputs where the source has other ones than the function."""
    if hasattr(source, "structured_input_signature") and hasattr(source, "graph"):
        return source, ()
    if hasattr(source, "get_concrete_function"):
        return _traced(source, hints, subject), ()
    if isinstance(getattr(source, "signatures", None), Mapping) and source.signatures:
        return source.signatures[_signature(source.signatures, subject)], ()
    if getattr(source, "inputs", None) and callable(source):
        return _keras(source), tuple(getattr(source, "output_names", None) or ())
    call = getattr(source, "__call__", None)  # noqa: B004 - a SavedModel's is an attribute
    if call is None:
        hint = "Give it a __call__, or give one of its functions (tf.function)."
        raise ModelError("it has neither a signature nor a __call__.", subject=subject, hint=hint)
    saved = getattr(call, "concrete_functions", None)
    if saved and hints.example_input is None:
        if len(saved) > 1:
            raise ModelError(
                f"its __call__ was saved for {len(saved)} kinds of inputs.", subject=subject, hint=_EXAMPLE
            )
        return saved[0], ()
    if not hasattr(call, "get_concrete_function"):
        call = importlib.import_module("tensorflow").function(call)
    return _traced(call, hints, subject), ()


def _signature(signatures: Iterable[str], subject: str) -> str:
    names = [name for name in signatures if not name.startswith("_")]
    if _SERVING in names:
        return _SERVING
    if len(names) == 1:
        return names[0]
    hint = f"Load it (loaded = tf.saved_model.load(…)) and give loaded.signatures[{(names or ['…'])[0]!r}]."
    listed = ", ".join(names) or "none"
    raise ModelError(f"it has no signature {_SERVING!r}; its signatures: {listed}.", subject=subject, hint=hint)


def _traced(function: Any, hints: Hints, subject: str) -> Any:
    """A concrete function of a `tf.function`."""
    if hints.example_input is not None:
        return _called(function, hints.example_input)
    if getattr(function, "input_signature", None) is not None:
        return function.get_concrete_function()
    failed: Exception | None = None
    for arguments in _likely(hints):
        try:
            return _called(function, arguments)
        except Exception as error:  # of the user's code, which is not made for these
            failed = failed or error
    raise ModelError("it has no input signature, and there is no example input.", subject=subject, hint=_EXAMPLE) from (
        failed
    )


def _likely(hints: Hints) -> Iterator[Any]:
    """What the function may be called with, by a sample of the data: without what may be labels first."""
    for sample in hints.first_sample() if hints.first_sample is not None else ():
        if isinstance(sample, (tuple, list)):
            yield from (tuple(sample[:count]) for count in range(1, len(sample) + 1))
        else:
            yield sample


def _called(function: Any, example: Any) -> Any:
    """The concrete function for what a function is called with."""
    if isinstance(example, Mapping):
        return function.get_concrete_function(**{name: _spec(value, name) for name, value in example.items()})
    values = example if isinstance(example, (tuple, list)) else (example,)
    return function.get_concrete_function(*map(_spec, values))


def _spec(value: Any, name: str | None = None) -> Any:
    tf = importlib.import_module("tensorflow")
    if isinstance(value, tf.TensorSpec):
        return value
    array = np.asarray(value)
    return tf.TensorSpec(array.shape, np.float32 if array.dtype == np.float64 else array.dtype, name)


def _keras(model: Any) -> Any:
    """A concrete function of a Keras model's inference."""
    tf = importlib.import_module("tensorflow")
    names = getattr(model, "input_names", None) or [str(value.name).partition(":")[0] for value in model.inputs]
    specs = [tf.TensorSpec(x.shape, x.dtype, name) for x, name in zip(model.inputs, names, strict=True)]

    def infer(*values: Any) -> Any:
        return model(list(values) if len(values) > 1 else values[0], training=False)

    return tf.function(infer, input_signature=specs).get_concrete_function()


# ---- freezing


def _frozen(concrete: Any, output_names: Sequence[str], hints: Hints) -> Frozen:
    tf = importlib.import_module("tensorflow")
    loader = importlib.import_module("tf2onnx.tf_loader")
    captured = {tensor.name for tensor in concrete.graph.internal_captures}
    inputs = [tensor.name for tensor in concrete.inputs if tensor.name not in captured]
    outputs = [tensor.name for tensor in concrete.outputs if tensor.dtype != tf.resource]
    graph = loader.from_function(concrete, inputs, outputs)
    names = dict(zip(inputs, _input_names(concrete, inputs), strict=True))
    names.update(zip(outputs, output_names or _output_names(concrete, outputs), strict=False))
    return _named(graph, inputs, outputs, names, hints)


def _input_names(concrete: Any, inputs: Sequence[str]) -> list[str]:
    """What the signature calls its inputs; what the graph calls them where that is not known."""
    tf = importlib.import_module("tensorflow")
    specs = [x for x in tf.nest.flatten(concrete.structured_input_signature) if isinstance(x, tf.TensorSpec)]
    names = [spec.name for spec in specs]
    if len(names) == len(inputs) and all(names) and len(set(names)) == len(names):
        return names
    return [_node_of(name) for name in inputs]


def _output_names(concrete: Any, outputs: Sequence[str]) -> list[str]:
    """The keys of a signature's results, which TensorFlow sorts."""
    structure = concrete.structured_outputs
    if isinstance(structure, Mapping) and len(structure) == len(outputs):
        return sorted(map(str, structure))
    return [f"output_{index}" for index in range(len(outputs))]


def _named(graph: Any, inputs: Sequence[str], outputs: Sequence[str], names: Mapping[str, str], hints: Hints) -> Frozen:
    """A frozen graph with the shapes that hints have for its inputs."""
    shapes = {name: hints.input_shapes[names[name]] for name in inputs if names[name] in hints.input_shapes}
    return Frozen(graph, inputs, outputs, names, shapes)
