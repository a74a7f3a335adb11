"""Graphs that run other graphs of the file."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from tinsmith.graph.edit import add_constant
from tinsmith.importers.tflite.operation import Operation, operator


@operator("WHILE")
def while_(op: Operation) -> Sequence[ir.Value]:
    """Repeats a body as long as a condition holds.

    It becomes a Loop: `tinsmith.graph.control` writes it out where its rounds can be counted, and refuses it elsewhere.
    """
    states = op.values()
    condition, body = op.option("CondSubgraphIndex", -1), op.option("BodySubgraphIndex", -1)
    before, rounds, after = (
        op.scope.body(index, f"{op.name}/{what}")
        for index, what in ((condition, "first"), (body, "body"), (condition, "next"))
    )
    if not len(rounds.inputs) == len(rounds.outputs) == len(before.inputs) == len(states) == len(op.operator.outputs):
        raise ValueError(f"{len(states)} values go into a body of {len(rounds.inputs)} and {len(rounds.outputs)}")
    nodes, starts = _absorbed(op.scope.graph, before, states)
    op.nodes.extend(nodes)
    nodes, goes_on = _absorbed(rounds, after, tuple(rounds.outputs))
    rounds.extend(nodes)
    rounds.outputs.insert(0, goes_on[0])
    for what, dtype in (("go", ir.DataType.BOOL), ("round", ir.DataType.INT64)):
        value = ir.Value(name=f"{op.name}/{what}", type=ir.TensorType(dtype), shape=ir.Shape([]))
        rounds.inputs.insert(0, value)
    return op.emit_several("Loop", [None, starts[0], *states], len(states), {"body": rounds})


def _absorbed(
    target: ir.Graph, source: ir.Graph, arguments: Sequence[ir.Value]
) -> tuple[list[ir.Node], list[ir.Value]]:
    """The nodes of a graph, free to become part of another, which gets its constants; and its results."""
    results = list(source.outputs)
    source.outputs.clear()
    given = dict(zip(source.inputs, arguments, strict=True))
    for value in source.initializers.values():
        if value.const_value is not None:
            given[value] = add_constant(target, value.const_value.numpy(), value.name or "")
    for old, new in given.items():
        old.replace_all_uses_with(new)
    nodes = list(source)
    source.remove(nodes)
    if len(results) != 1:
        raise ValueError(f"its condition has {len(results)} results")
    return nodes, [given.get(value, value) for value in results]
