"""Constants folded, every shape and type known."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph.edit import Array, add_constant, discard, forget_names, is_constant, known_shape, operands, shape_of
from tinsmith.graph.execute import Runner
from tinsmith.graph.opset import OPSET, captured
from tinsmith.graph.prepare import name_absent_outputs

_ROUNDS = 8
_LARGEST = 1 << 28
# Results of folding larger than this stay computed, unless they are no larger than what they come from.
_LARGEST_FOLD = 64 << 20


def settle(model: ir.Model) -> None:
    """Folds constants and finds every shape, by inference first, by running the model on zeros where that fails.

    Args:
        model: The model at opset 24 with static input shapes; changed in place.

    Raises:
        ModelError: A shape cannot be found: the model does not run with these input shapes.
    """
    for _ in range(_ROUNDS):
        infer(model)
        _refuse_huge(model.graph)
        _fold(model)
        unknown = _unknown(model.graph)
        if not unknown:
            return
        # Shapes found by running make Shape nodes constant, and those make further shapes known.
        _measure(model, unknown)
        if not any(node.op_type in ("Shape", "Size") for node in model.graph):
            return


def _unknown(graph: ir.Graph) -> list[ir.Value]:
    return [value for node in graph for value in node.outputs if known_shape(value) is None or value.dtype is None]


def infer(model: ir.Model) -> None:
    """Fills in the shapes and types that ONNX can infer."""
    with captured():
        common.ShapeInferencePass(check_type=False, strict_mode=False)(model)


def _fold(model: ir.Model) -> None:
    """Folds what depends on constants and known shapes only, to a fixed point."""
    from onnxscript import optimizer

    with captured():
        try:
            optimizer.fold_constants(
                model, onnx_shape_inference=True, should_fold=_worth_folding, output_size_limit=_LARGEST_FOLD // 4
            )
        except Exception as error:
            cause = error.__cause__ or error
            raise ModelError(f"constants cannot be folded: {cause}", subject=model.graph.name or "") from error
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
        common.RemoveUnusedNodesPass()(model)
        common.RemoveUnusedOpsetsPass()(model)
    forget_names(model.graph)
    name_absent_outputs(model.graph)
    _fold_rest(model)
    infer(model)


def _worth_folding(node: ir.Node) -> bool:
    """Yes to small results; the rest is left to `_fold_rest`, which knows sizes before it computes."""
    if _size(node.outputs[0]) > _LARGEST_FOLD // 4:
        return False
    sizes = [value.const_value.size for value in operands(node) if value.const_value is not None]
    return len(node.outputs) == 1 and max(sizes, default=0) <= 1 << 16 and node.op_type != "ConstantOfShape"


def _size(value: ir.Value) -> int:
    """Number of elements, 0 where it is not known."""
    return prod(known_shape(value) or (0,))


def _refuse_huge(graph: ir.Graph) -> None:
    for value in (*graph.inputs, *(value for node in graph for value in node.outputs)):
        if _size(value) > _LARGEST:
            node = value.producer()
            raise ModelError(
                f"{value.name!r} would have {_size(value)} elements, more than any chip holds.",
                subject="" if node is None else f"{node.op_type} {node.name!r}",
                hint="Check the input shapes (--input-shape name=1,3,96,96).",
            )


def _fold_rest(model: ir.Model) -> None:
    """Computes with ONNX Runtime what is constant but was not folded: large results, several outputs."""
    graph = model.graph
    constant: dict[ir.Node, None] = {}
    for node in graph:
        known = all(is_constant(value) or value.producer() in constant for value in operands(node))
        carries_graph = any(attribute.type == ir.AttributeType.GRAPH for attribute in node.attributes.values())
        if known and not carries_graph and not node.op_type.startswith(("Random", "Multinomial", "Bernoulli")):
            constant[node] = None
    wanted = [value for node in constant for value in node.outputs if _leaves(value, constant)]
    if not wanted:
        return
    part = _extract(constant, wanted)
    try:
        results = Runner(ir.Model(part, ir_version=model.ir_version))({})
    except ModelError:
        return
    sources = sum(value.const_value.nbytes for value in part.initializers.values() if value.const_value is not None)
    for value in wanted:
        array = results[value.name or ""]
        if array.nbytes <= max(_LARGEST_FOLD, sources) and not value.is_graph_output():
            name, value.name = value.name or "", None
            forget_names(graph)
            value.replace_all_uses_with(add_constant(graph, array, name))
    for node in reversed(tuple(constant)):
        discard(node)


def _leaves(value: ir.Value, nodes: dict[ir.Node, None]) -> bool:
    return value.is_graph_output() or any(user not in nodes for user in value.consumers())


def _extract(nodes: Iterable[ir.Node], outputs: Iterable[ir.Value]) -> ir.Graph:
    """A graph of copies of some nodes that depend on constants only."""
    copies: dict[ir.Value, ir.Value] = {}
    initializers: list[ir.Value] = []
    new_nodes: list[ir.Node] = []
    for node in nodes:
        for value in operands(node):
            if value not in copies:
                copies[value] = ir.Value(
                    name=value.name, type=value.type, shape=value.shape, const_value=value.const_value
                )
                initializers.append(copies[value])
        inputs = [None if value is None else copies[value] for value in node.inputs]
        copy = ir.Node(node.domain, node.op_type, inputs, node.attributes.values(), num_outputs=len(node.outputs))
        for old, new in zip(node.outputs, copy.outputs, strict=True):
            new.name, new.type = old.name, old.type
            copies[old] = new
        new_nodes.append(copy)
    results = [copies[value] for value in outputs]
    graph = ir.Graph([], results, nodes=new_nodes, opset_imports={"": OPSET}, name="constants")
    for value in initializers:
        graph.register_initializer(value)
    return graph


def _measure(model: ir.Model, unknown: list[ir.Value]) -> None:
    """Runs the model to see the shapes that inference did not find: on zeros and on other numbers, to compare."""
    graph = model.graph
    for value in graph.inputs:
        if value.dtype is None:
            raise ModelError("the type of the input is not in the file.", subject=repr(value.name))
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
            raise UnsupportedError("the value is not a tensor.", subject=repr(value.name))
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
