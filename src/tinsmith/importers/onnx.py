"""ONNX files, bytes and models in memory.

Files are parsed without their external data, whose tensors are mapped from their files when somebody looks at them:
models beyond protobuf's 2 GiB load in milliseconds.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from tinsmith.errors import ModelError
from tinsmith.graph.quiet import captured
from tinsmith.importers.hints import Hints
from tinsmith.importers.reasons import innermost, sentence
from tinsmith.importers.recognize import recognize

_SMALL = 1 << 16
_TEXTS = (".onnxtxt", ".onnxtext", ".textproto", ".pbtxt", ".prototxt", ".txtpb", ".json", ".onnxjson")
_REEXPORT = "Export it again, and see what `onnx.checker.check_model` says about it."


def load(source: str | Path | bytes | onnx.ModelProto | ir.Model, hints: Hints | None = None) -> ir.Model:
    """Loads and checks an ONNX model.

    Args:
        source: The path of a file, its bytes, or a model in memory; not modified.
        hints: Not needed: `tinsmith.graph.canonicalize` takes the shapes of inputs.

    Returns:
        The model. A model in memory shares its weights; an `ir.Model` is returned as it is.

    Raises:
        ModelError: The file is absent, not ONNX, truncated, or breaks ONNX's rules; names the file.
    """
    if isinstance(source, ir.Model):
        _check(source, "the model")
        return source
    if isinstance(source, onnx.ModelProto):
        return _from_proto(source, "the model", None)
    if isinstance(source, (str, Path)):
        path = Path(source)
        return _from_proto(_parse_file(path), str(path), path.absolute().parent)
    return _from_proto(_parse(bytes(source), "the model's bytes"), "the model's bytes", None)


def _parse_file(path: Path) -> onnx.ModelProto:
    if not path.exists():
        raise ModelError("the file does not exist.", subject=str(path))
    if not path.is_file():
        raise ModelError("this is not a file.", subject=str(path))
    if path.suffix.lower() in _TEXTS:
        try:
            with warnings.catch_warnings(action="ignore"):  # of a format that is still experimental
                return onnx.load(str(path), load_external_data=False)
        except Exception as error:  # each text format has its own
            raise _not_onnx(str(path)) from error
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the file cannot be read: {error.strerror}.", subject=str(path)) from error
    return _parse(data, str(path))


def _parse(data: bytes, subject: str) -> onnx.ModelProto:
    if not data:
        raise ModelError("the file is empty.", subject=subject)
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except Exception as error:  # the parser of protobuf has classes of its own
        raise _not_onnx(subject, data) from error
    # Some other files happen to be valid, and empty.
    if not proto.HasField("graph"):
        raise _not_onnx(subject, data)
    return proto


def _not_onnx(subject: str, data: bytes = b"") -> ModelError:
    found = recognize(data)
    if found is not None:
        return ModelError(f"this is {found.kind}, not an ONNX model.", subject=subject, hint=found.way_out)
    return ModelError(
        "this is not an ONNX model, or it is cut off.",
        subject=subject,
        hint="Check that the download or export is complete.",
    )


def _from_proto(proto: onnx.ModelProto, subject: str, folder: Path | None) -> ir.Model:
    if not proto.HasField("graph") or not proto.opset_import:
        raise _not_onnx(subject)
    if not proto.graph.node:
        raise ModelError("the graph has no nodes.", subject=subject, hint=_REEXPORT)
    try:
        with captured():
            model = ir.from_proto(proto)
    except Exception as error:  # the library raises whatever it trips over
        raise ModelError(f"the model is invalid: {innermost(error)}", subject=subject, hint=_REEXPORT) from error
    try:
        # The order of nodes in the file does not matter to us.
        common.TopologicalSortPass()(model)
    except Exception as error:
        raise ModelError("the graph has a cycle.", subject=subject, hint=_REEXPORT) from error
    _find_external_data(model, subject, folder)
    _check(model, subject)
    _detach(model, subject)
    return model


def _tensors(model: ir.Model) -> Iterator[tuple[str, ir.TensorProtocol]]:
    """All tensors of a model with a name to call them by: initializers and attributes, in subgraphs too."""
    for graph in model.graphs():
        for name, value in graph.initializers.items():
            if value.const_value is not None:
                yield name, value.const_value
        for node in graph:
            for attribute in node.attributes.values():
                if attribute.type == ir.AttributeType.TENSOR and not attribute.is_ref():
                    # `as_tensor` looks at the size, which tensors without a type do not have.
                    tensor: ir.TensorProtocol = attribute.value
                    yield next((value.name for value in node.outputs if value.name), node.op_type), tensor


def _find_external_data(model: ir.Model, subject: str, folder: Path | None) -> None:
    """Tells tensors in other files where those are, and looks at each once."""
    for name, tensor in _tensors(model):
        if tensor.dtype == ir.DataType.UNDEFINED:
            raise ModelError(f"the data of {name!r} have no element type.", subject=subject, hint=_REEXPORT)
        if not isinstance(tensor, ir.ExternalTensor):
            continue
        if folder is None:
            raise ModelError(
                f"the data of {name!r} is in another file ({tensor.location}).",
                subject=subject,
                hint="Load the model by its path.",
            )
        tensor.base_dir = str(folder)
        location = os.path.normpath(tensor.location)
        if os.path.isabs(location) or location.startswith(".."):
            raise ModelError(
                f"the data of {name!r} is outside the model's folder ({tensor.location}).", subject=subject
            )
        if tensor.length is not None and tensor.length != tensor.nbytes:
            raise ModelError(
                f"the data of {name!r} take {tensor.nbytes:,} bytes by their shape, {tensor.length:,} by their entry.",
                subject=subject,
                hint=_REEXPORT,
            )
        try:
            tensor.numpy()
        except Exception as error:  # a missing file, one too short
            raise ModelError(
                f"the data of {name!r} cannot be read from {tensor.location}: {sentence(error)}",
                subject=subject,
                hint="Keep the files of a model together, in one folder.",
            ) from error


def _check(model: ir.Model, subject: str) -> None:
    """Lets ONNX check a copy without weights."""
    try:
        copy = model.clone()
    except Exception as error:  # nodes that are not in order, for one
        raise ModelError(f"the model is invalid: {innermost(error)}", subject=subject) from error
    for value in copy.graph.initializers.values():
        # The checker looks for other files where it runs, not where the model is.
        if isinstance(value.const_value, ir.ExternalTensor) and value.const_value.nbytes <= _SMALL:
            value.const_value = ir.Tensor(value.const_value.numpy(), name=value.name)
    for value in (*copy.graph.inputs, *copy.graph.outputs):
        # The checker wants to see shapes, any shapes; here they may be missing.
        value.type = value.type or (None if value.is_graph_input() else ir.TensorType(ir.DataType.FLOAT))
        value.shape = value.shape or ir.Shape([])
    try:
        common.CheckerPass()(copy)
    except Exception as error:
        raise ModelError(f"the model is invalid: {innermost(error)}", subject=subject, hint=_REEXPORT) from error


def _detach(model: ir.Model, subject: str) -> None:
    """Takes the weights out of the protobuf, which copies them whenever they are read, and lets that go."""
    for graph in model.graphs():
        for value in graph.initializers.values():
            tensor = value.const_value
            if isinstance(tensor, ir.TensorProtoTensor) and tensor.dtype != ir.DataType.STRING:
                try:
                    array = tensor.numpy()
                except Exception as error:  # fewer or more bytes than the shape says
                    raise ModelError(
                        f"the data of {value.name!r} does not fit its shape: {sentence(error)}", subject=subject
                    ) from error
                value.const_value = ir.Tensor(array, dtype=tensor.dtype, name=tensor.name)
