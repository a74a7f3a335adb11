"""Every shape and type known."""

from __future__ import annotations

import re

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph.control import unroll
from tinsmith.graph.dequantize import dequantize
from tinsmith.graph.edit import Array, constant, forget_names, get_int, is_constant, known_shape, shape_of
from tinsmith.graph.execute import Runner
from tinsmith.graph.fold import fold, fold_with_runtime, size_of
from tinsmith.graph.freeze import forget_shapes
from tinsmith.graph.opset import OPSET
from tinsmith.graph.prepare import refuse_subgraphs
from tinsmith.graph.quiet import captured
from tinsmith.graph.sequences import resolve

_ROUNDS = 8
_LARGEST = 1 << 28
# Inputs that say what the result is shaped like, or which part of the data it is.
_SHAPING = {
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Split", "TopK", "OneHot", "Squeeze", "Unsqueeze"), (1,)),
    "Slice": (1, 2, 3, 4),
    "Pad": (1, 3),
    "Resize": (1, 2, 3),
    "ConstantOfShape": (0,),
    "Range": (0, 1, 2),
}
# What strict inference says of the constants in ONNX's own definition of MeanVarianceNormalization.
_FALSE_ALARM = "One and only one of the attributes"

_UNKNOWN_TYPE = re.compile(r"op_type:(\w+), node name: (.*?)\).*unsupported type:? tensor\((\w+)\)", re.DOTALL)


def settle(model: ir.Model) -> None:
    """Folds constants and finds every shape, by inference first, by running the model where that fails.

    Loops and sequences whose length turns out to be known are written out on the way.

    Args:
        model: The model at opset 24 with static input shapes; changed in place.

    Raises:
        ModelError: A shape cannot be found: the model does not run with these input shapes; or it is out of bounds.
        UnsupportedError: A shape depends on the data; a node works on a type that its operator does not have.
    """
    infer(model)
    _refuse_huge(model.graph)
    fold_with_runtime(model)
    # ONNX infers wrong shapes, not none, where axes are not constant yet: nothing may be built on those.
    forget_shapes(model.graph)
    rounds = 0
    while rounds < _ROUNDS:
        fold(model)
        infer(model)
        _refuse_huge(model.graph)
        if fold_with_runtime(model):
            infer(model)
        if _write_out(model):
            continue
        rounds += 1
        unknown = [value for node in model.graph for value in node.outputs if _is_unknown(value)]
        if not unknown:
            break
        refuse_subgraphs(model.graph)  # one may never end
        # Shapes found by running make Shape nodes constant, and those make further shapes known.
        _measure(model, unknown)
        if not any(node.op_type in ("Shape", "Size") for node in model.graph):
            break
    _refuse_computed(model.graph)
    _refuse_indices(model.graph)
    _refuse_contradictions(model)


def _refuse_indices(graph: ir.Graph) -> None:
    for node in graph:
        indices = constant(node.inputs[1]) if node.op_type == "Gather" and len(node.inputs) > 1 else None
        shape = None if indices is None or node.inputs[0] is None else known_shape(node.inputs[0])
        axis = get_int(node, "axis", 0)
        if indices is None or not indices.size or not shape or not -len(shape) <= axis < len(shape):
            continue
        if indices.max() >= shape[axis] or indices.min() < -shape[axis]:
            raise ModelError(
                f"it takes elements {indices.min()} to {indices.max()} of {shape[axis]}.",
                subject=f"Gather {node.name!r}",
                hint="Check the input shapes (--input-shape name=1,3,96,96).",
            )


def _refuse_contradictions(model: ir.Model) -> None:
    """What inference passes over while it looks for shapes is an error once all are known."""
    copy = model.clone()
    forget_shapes(copy.graph)
    with captured() as messages:
        try:
            common.ShapeInferencePass(check_type=True, strict_mode=True, data_prop=False)(copy)
        except Exception as error:  # the library raises whatever it trips over, or logs it
            messages.append(str(error.__cause__ or error))
    messages = [message for message in messages if _FALSE_ALARM not in message]
    if messages:
        if unknown := _UNKNOWN_TYPE.search(messages[0]):
            operator, name, kind = unknown.groups()
            raise UnsupportedError(
                f"{operator} of ONNX opset {OPSET} does not know {kind}.",
                subject=repr(name),
                hint="Keep values in float32 in the model; the chip's integers are chosen here.",
            )
        raise ModelError(
            f"shapes or types contradict each other: {messages[0].rpartition('unchanged: ')[2][:400]}",
            subject=model.graph.name or "",
            hint="Check the input shapes (--input-shape name=1,3,96,96); exports often bake in the original one.",
        )


def _write_out(model: ir.Model) -> bool:
    """Writes out loops and sequences; tells whether there were any. Each is gone afterwards: this ends."""
    forget_names(model.graph)
    found = [unroll(model.graph), resolve(model.graph)]
    if any(found):
        dequantize(model)
        forget_shapes(model.graph)
    return any(found)


def _is_unknown(value: ir.Value) -> bool:
    return known_shape(value) is None or value.dtype is None or not isinstance(value.type, ir.TensorType)


def infer(model: ir.Model) -> None:
    """Fills in the shapes and types that ONNX can infer."""
    with captured():
        common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=False)(model)


def _refuse_computed(graph: ir.Graph) -> None:
    for node in graph:
        reduces = (1,) if node.op_type.startswith("Reduce") else ()
        for index in _SHAPING.get(node.op_type, reduces):
            value = node.inputs[index] if index < len(node.inputs) else None
            if value is not None and not is_constant(value):
                raise _depends(node.outputs[0])


def _refuse_huge(graph: ir.Graph) -> None:
    for value in (*graph.inputs, *(value for node in graph for value in node.outputs)):
        node = value.producer()
        if node is not None and min(known_shape(value) or (0,)) < 0:
            raise ModelError(
                f"{value.name!r} would have the shape {'×'.join(map(str, shape_of(value)))}.",
                subject=f"{node.op_type} {node.name!r}",
                hint="Check the input shapes (--input-shape name=1,3,96,96).",
            )
        if size_of(value) > _LARGEST:
            raise ModelError(
                f"{value.name!r} would have {size_of(value)} elements, more than any chip holds.",
                subject="" if node is None else f"{node.op_type} {node.name!r}",
                hint="Check the input shapes (--input-shape name=1,3,96,96).",
            )


def _measure(model: ir.Model, unknown: list[ir.Value]) -> None:
    """Runs the model to see the shapes that inference did not find: on zeros and on other numbers, to compare."""
    graph = model.graph
    for value in graph.inputs:
        if value.dtype is None:
            raise ModelError("the type of the input is not in the file.", subject=repr(value.name))
    for value in unknown:
        if value.type is not None and not isinstance(value.type, ir.TensorType):
            raise _no_tensor(value)
    try:
        runner = Runner(model, [value.name or "" for value in unknown])
        zeros, others = (runner(_numbers(graph, some)) for some in (False, True))
    except ModelError as error:
        inputs = ", ".join(f"{value.name} {'×'.join(map(str, shape_of(value)))}" for value in graph.inputs)
        raise ModelError(
            f"the model does not run with these inputs ({inputs}). {error.reason}",
            subject=graph.name or "",
            hint="Check the input shapes (--input-shape name=1,3,96,96); exports often bake in the original one.",
        ) from error
    for value in unknown:
        array = zeros[value.name or ""]
        if not isinstance(array, np.ndarray):
            raise _no_tensor(value)
        if array.shape != others[value.name or ""].shape:
            raise _depends(value)
        value.shape = ir.Shape(array.shape)
        value.type = ir.TensorType(ir.DataType.from_numpy(array.dtype))


def _numbers(graph: ir.Graph, some: bool) -> dict[str, Array]:
    """Inputs of zeros; or of ``some`` numbers, all different, but 0 and 1 in turn for integers: they may be indices."""
    feeds = {}
    for value in graph.inputs:
        assert value.dtype is not None
        dtype, shape = value.dtype.numpy(), shape_of(value)
        count = np.arange(np.prod(shape, dtype=int)) * some
        numbers = np.sin(count) if np.issubdtype(dtype, np.floating) else count % 2
        feeds[value.name or ""] = numbers.reshape(shape).astype(dtype)
    return feeds


def _no_tensor(value: ir.Value) -> UnsupportedError:
    node = value.producer()
    return UnsupportedError(
        f"{value.name!r} is not a tensor.",
        subject=f"{node.op_type} {node.name!r}" if node is not None else "",
        hint="Sequences and optional values are resolved where constants decide them; cut the graph before this node.",
    )


def _depends(value: ir.Value) -> UnsupportedError:
    node = value.producer()
    return UnsupportedError(
        f"the shape of {value.name!r} depends on what the network is fed with.",
        subject=f"{node.op_type} {node.name!r}" if node is not None else "",
        hint="The chip needs shapes that are known beforehand: cut the graph before this node (--outputs).",
    )


def refuse_empty(graph: ir.Graph) -> None:
    """Refuses tensors without elements.

    Raises:
        ModelError: A node computes one.
    """
    for node in graph:
        for value in node.outputs:
            if 0 in (known_shape(value) or ()) and (value.uses() or value.is_graph_output()):
                raise ModelError(
                    f"{node.op_type} computes {value.name!r} without a single element.",
                    subject=repr(node.name),
                    hint="Check the input shapes.",
                )
