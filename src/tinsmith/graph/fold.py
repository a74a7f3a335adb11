"""What depends on constants, and on shapes that are known, is computed beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from tinsmith.errors import ModelError
from tinsmith.graph.edit import (
    Array,
    add_constant,
    constant,
    copied,
    discard,
    forget_names,
    graph_of,
    is_constant,
    known_shape,
    operands,
)
from tinsmith.graph.execute import Runner
from tinsmith.graph.opset import IR_VERSION, OPSET
from tinsmith.graph.prepare import name_absent_outputs
from tinsmith.graph.quiet import captured

# Results of folding larger than this stay computed, unless they are no larger than what they come from.
_LARGEST_FOLD = 64 << 20
# Nodes looked at to find a single number.
_LARGEST_CHAIN = 2000


def fold(model: ir.Model) -> None:
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


def _worth_folding(node: ir.Node) -> bool:
    """Yes to small results; the rest is left to `fold_with_runtime`, which knows sizes before it computes."""
    if size_of(node.outputs[0]) > _LARGEST_FOLD // 4 or _carries_graph(node):
        return False
    sizes = [value.const_value.size for value in operands(node) if value.const_value is not None]
    return len(node.outputs) == 1 and max(sizes, default=0) <= 1 << 16 and node.op_type != "ConstantOfShape"


def _carries_graph(node: ir.Node) -> bool:
    """Whether a node runs a graph of its own: it may never end."""
    return any(attribute.type == ir.AttributeType.GRAPH for attribute in node.attributes.values())


def size_of(value: ir.Value) -> int:
    """Number of elements, 0 where it is not known."""
    return prod(known_shape(value) or (0,))


def fold_with_runtime(model: ir.Model) -> bool:
    """Computes with ONNX Runtime what depends on constants only; tells whether there was anything.

    Shapes should be known, for results that would be too large are not computed.
    """
    graph = model.graph
    constant: dict[ir.Node, None] = {}
    for node in graph:
        known = all(is_constant(value) or value.producer() in constant for value in operands(node))
        if known and not _carries_graph(node) and not node.op_type.startswith(("Random", "Multinomial", "Bernoulli")):
            constant[node] = None
    wanted = [value for node in constant for value in node.outputs if _leaves(value, constant)]
    if not wanted:
        return False
    part = _extract(constant, wanted)
    try:
        results: Mapping[str, object] = Runner(ir.Model(part, ir_version=model.ir_version))({})
    except ModelError:
        return False
    sources = sum(value.const_value.nbytes for value in part.initializers.values() if value.const_value is not None)
    changed = False
    for value in wanted:
        array = results[value.name or ""]
        if not isinstance(array, np.ndarray):  # a sequence of tensors
            continue
        if array.nbytes <= max(_LARGEST_FOLD, sources) and not value.is_graph_output():
            name, value.name = value.name or "", None
            forget_names(graph)
            value.replace_all_uses_with(add_constant(graph, array, name))
            changed = True
    for node in reversed(tuple(constant)):
        discard(node)
    return changed


def evaluate(value: ir.Value) -> Array | None:
    """The elements of a value that depends on constants only, None of any other."""
    if is_constant(value):
        return constant(value)
    found: set[ir.Node] = set()
    pending = [value]
    while pending:
        one = pending.pop()
        node = one.producer()
        if is_constant(one) or node in found:
            continue
        if node is None or len(found) > _LARGEST_CHAIN:
            return None
        found.add(node)
        pending += operands(node)
    last = value.producer()
    assert last is not None
    order = [node for node in graph_of(last) if node in found]
    try:
        part = _extract(order, [value])
        return Runner(ir.Model(part, ir_version=IR_VERSION))({})[value.name or ""]
    except ModelError:
        return None


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
        new_nodes.append(copied(node, copies))
    results = [copies[value] for value in outputs]
    graph = ir.Graph([], results, nodes=new_nodes, opset_imports={"": OPSET}, name="constants")
    for value in initializers:
        graph.register_initializer(value)
    return graph
