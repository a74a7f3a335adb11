"""The canonical graph as the plain, frozen data that operators read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import add_constant, constant, forget_names, shape_of
from tinsmith.graph.functions import with_functions
from tinsmith.graph.provenance import names
from tinsmith.ops.floatnode import FloatAttribute, FloatNode, Network, Operand


def network(model: ir.Model) -> Network:
    """The `Network` of a canonical model.

    Nodes are in topological order. A value is one `Operand` object wherever it appears, so a constant that several
    nodes use has one name. Constants are views of the model's weights: not to be written to. Nodes that together are a
    function of one variable are one node (`tinsmith.graph.functions`).

    Args:
        model: From `tinsmith.graph.canonicalize`.
    """
    graph = model.graph
    known: dict[ir.Value, Operand] = {}

    def operand(value: ir.Value) -> Operand:
        if value not in known:
            known[value] = as_operand(value)
        return known[value]

    inputs = tuple(operand(value) for value in graph.inputs)
    nodes = tuple(as_float_node(node, operand) for node in graph)
    outputs = tuple(operand(value) for value in graph.outputs)
    return with_functions(Network(nodes, inputs, outputs, graph.name or ""))


def as_operand(value: ir.Value) -> Operand:
    """One value as operators see it."""
    return Operand(value.name or "", shape_of(value), _dtype(value), constant(value))


def as_float_node(node: ir.Node, operand: Callable[[ir.Value], Operand] = as_operand) -> FloatNode:
    """One node as operators see it."""
    return FloatNode(
        node.op_type,
        node.name or "",
        tuple(None if value is None else operand(value) for value in node.inputs),
        tuple(operand(value) for value in node.outputs),
        {name: _plain(attribute) for name, attribute in node.attributes.items()},
        sources=names(node),
    )


def with_constants(model: ir.Model, before: Network, after: Network) -> ir.Model:
    """A copy of a model with the weights of another version of its network.

    Args:
        model: The canonical model; not modified.
        before: Its network.
        after: The same nodes, some with other constants, or with one more behind their inputs (a bias).
    """
    changed = {
        new.name: {
            index: new.input(index)
            for index in range(len(new.inputs))
            if new.has(index) and not (old.has(index) and old.input(index) is new.input(index))
        }
        for old, new in zip(before.nodes, after.nodes, strict=True)
        if old is not new
    }
    clone = model.clone()
    forget_names(clone.graph)
    for node in clone.graph:
        for index, operand in changed.get(node.name or "", {}).items():
            if operand.const is not None:
                node.resize_inputs(max(index + 1, len(node.inputs)))
                node.replace_input_with(index, add_constant(clone.graph, operand.const, operand.name))
    forget_names(clone.graph)
    return clone


def _dtype(value: ir.Value) -> np.dtype[Any]:
    if value.dtype is None:
        raise TypeError(f"the type of {value.name!r} is not known")
    return np.dtype(value.dtype.numpy())


def _plain(attribute: ir.Attr) -> FloatAttribute:
    if attribute.type == ir.AttributeType.TENSOR:
        return attribute.as_tensor().numpy()
    value = attribute.value
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, bytes):
        return value.decode()
    return tuple(value)
