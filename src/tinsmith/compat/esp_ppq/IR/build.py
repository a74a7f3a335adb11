"""From a float model, a quantized one or a program to a `BaseGraph`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from tinsmith.compat.esp_ppq.core.quant import NetworkFramework
from tinsmith.compat.esp_ppq.IR.base.graph import Array, BaseGraph, Operation, Variable
from tinsmith.compat.esp_ppq.IR.formats import config_of
from tinsmith.compat.esp_ppq.IR.quantize import QuantableOperation, QuantableVariable
from tinsmith.compat.esp_ppq.platforms import platform_of
from tinsmith.graph.prepare import name_nodes
from tinsmith.ops.floatnode import Operand
from tinsmith.ops.steps import steps
from tinsmith.program import Program
from tinsmith.quantized import Quantized
from tinsmith.targets import Target


def of_model(model: ir.Model) -> BaseGraph:
    """The graph of a float model, with the user's own operators; those without a name get one."""
    model = model.clone()
    name_nodes(model.graph)
    graph = BaseGraph(model.graph.name or "", NetworkFramework.ONNX)
    graph.model = model
    constants = {name: value for name, value in model.graph.initializers.items() if value.const_value is not None}
    made: dict[str, Variable] = {}

    def variable(value: ir.Value | None) -> Variable:
        name = "" if value is None else value.name or ""
        if name not in made or not name:
            made[name] = Variable(name) if value is None else _of_value(value, name in constants)
        return made[name]

    for node in model.graph:
        attributes = {name: _plain(attribute.value) for name, attribute in node.attributes.items()}
        inputs, outputs = [variable(value) for value in node.inputs], [variable(value) for value in node.outputs]
        _add(graph, Operation(node.name or "", node.op_type, attributes, inputs=inputs, outputs=outputs))
    _ends(graph, [v.name or "" for v in model.graph.inputs if v.name not in constants], made)
    _ends(graph, [v.name or "" for v in model.graph.outputs], made, outputs=True)
    return graph


def of_quantized(quantized: Quantized) -> BaseGraph:
    """The graph of a quantized network: the operators that are left of the user's, in the chip's formats."""
    network, target = quantized.network, quantized.target
    graph = BaseGraph(network.name, NetworkFramework.ONNX)
    graph.quantized, graph.model, graph.program, graph.target = quantized, quantized.model, quantized.program, target
    inner = {step.node.name for step in steps(network, quantized.formats) if step.fused is not None}
    made: dict[str, Variable] = {}

    def variable(operand: Operand | None) -> Variable:
        if operand is None:
            return QuantableVariable("")
        if operand.name not in made:
            const = operand.const
            made[operand.name] = QuantableVariable(
                operand.name, const, const is not None, shape=operand.shape, dtype=operand.dtype
            )
        return made[operand.name]

    computed = {output.name for node in network.nodes for output in node.outputs}
    for node in network.nodes:
        bits = quantized.placement[node.name].bits
        attributes = {name: _plain(value) for name, value in node.attributes.items()}
        inputs, outputs = [variable(operand) for operand in node.inputs], [variable(o) for o in node.outputs]
        operation = Operation(
            node.name, node.op_type, attributes, platform_of(target, bits), inputs=inputs, outputs=outputs
        )
        if bits != 32:
            config = config_of(node, quantized.formats, bits, target, computed, fused=node.name in inner)
            operation = QuantableOperation(operation, config, operation.platform)
        _add(graph, operation)
    for operand in (*network.inputs, *network.outputs):
        variable(operand)
    _ends(graph, [operand.name for operand in network.inputs], made)
    _ends(graph, [operand.name for operand in network.outputs], made, outputs=True)
    return graph


def of_program(program: Program, target: Target) -> BaseGraph:
    """The graph of a program: the chip's own nodes, everything in the file's layout."""
    graph = BaseGraph(program.name, NetworkFramework.NATIVE)
    graph.program, graph.target = program, target
    made: dict[str, Variable] = {}

    def variable(name: str) -> Variable:
        if name not in made or not name:
            constant, value = program.constants.get(name), program.values.get(name)
            if constant is not None:
                made[name] = Variable(name, constant.data, True, shape=constant.shape, dtype=constant.data.dtype)
            else:
                made[name] = Variable(name, shape=None if value is None else value.shape)
        return made[name]

    for node in program.nodes:
        attributes = {name: _plain(value) for name, value in node.attributes.items()}
        bits = {"S8": 8, "S16": 16}.get(str(node.attributes.get("quant_type")), 32)
        inputs, outputs = [variable(name) for name in node.inputs], [variable(name) for name in node.outputs]
        platform = platform_of(target, bits)
        _add(graph, Operation(node.name, node.op_type, attributes, platform, inputs=inputs, outputs=outputs))
    for value in (*program.inputs, *program.outputs):
        variable(value.name)
    _ends(graph, [value.name for value in program.inputs], made)
    _ends(graph, [value.name for value in program.outputs], made, outputs=True)
    return graph


def rebuilt(graph: BaseGraph) -> BaseGraph:
    """A copy: platforms and attributes as they are now, over the same quantized network, model or program."""
    if graph.quantized is not None:
        copy = of_quantized(graph.quantized)
    elif graph.model is not None:
        copy = of_model(graph.model)
    elif graph.program is not None and graph.target is not None:
        copy = of_program(graph.program, graph.target)
    else:
        copy = BaseGraph(graph.name, graph._built_from)
    for name, operation in graph.operations.items():
        if name in copy.operations:
            copy.operations[name].platform = operation.platform
            copy.operations[name].attributes = dict(operation.attributes)
            copy.operations[name].extension_attrib = dict(operation.extension_attrib)
    copy.extension_attrib = dict(graph.extension_attrib)
    return copy


def _of_value(value: ir.Value, parameter: bool) -> Variable:
    dims = None if value.shape is None else [d if isinstance(d, int) else d.value for d in value.shape]
    array: Array | None = value.const_value.numpy() if parameter and value.const_value is not None else None
    dtype = None if value.dtype is None else _dtype(value.dtype)
    return Variable(value.name or "", array, parameter, shape=dims, dtype=dtype)


def _dtype(dtype: ir.DataType) -> np.dtype[Any] | None:
    try:
        return np.dtype(dtype.numpy())
    except TypeError:
        return None


def _add(graph: BaseGraph, operation: Operation) -> None:
    name = operation.name
    graph.operations[name] = operation
    for variable in operation.inputs:
        variable.dest_ops.append(operation)
    for variable in operation.outputs:
        variable.source_op = operation
    graph.variables.update({v.name: v for v in (*operation.inputs, *operation.outputs) if v.name})


def _ends(graph: BaseGraph, names: Iterable[str], made: Mapping[str, Variable], *, outputs: bool = False) -> None:
    found = {name: made.get(name) or Variable(name) for name in names}
    graph.variables.update(found)
    (graph.outputs if outputs else graph.inputs).update(found)


def _plain(value: Any) -> Any:
    """Attributes as ONNX's own helper gives them: lists rather than tuples."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else value


__all__ = ["of_model", "of_program", "of_quantized", "rebuilt"]
