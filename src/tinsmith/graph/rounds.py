"""How often a loop runs whose condition only counts: found by counting, before anything is written out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx_ir as ir

from tinsmith.errors import ModelError
from tinsmith.graph.edit import Array, constant, copied, operands
from tinsmith.graph.execute import Runner
from tinsmith.graph.opset import IR_VERSION, OPSET


def count_rounds(body: ir.Graph, states: Sequence[ir.Value], most: int) -> int | None:
    """The number of rounds after which a loop's condition, true at first, is false.

    Args:
        body: Of the loop: round, condition and states in; condition, states and stacked outputs out.
        states: What the states are before the first round.
        most: Where counting stops.

    Returns:
        At most ``most``; None where the condition depends on more than constants, states made of them, and the round.
    """
    nodes, taken = _needed(body)
    given = {value: constant(state) for value, state in zip(body.inputs[2:], states, strict=True) if value in taken}
    follow = {value: body.outputs[place - 1] for place, value in enumerate(body.inputs) if value in given}
    made = [value for value in (body.outputs[0], *follow.values()) if value.producer() in nodes]
    kept = [value for value in follow if follow[value].producer() not in nodes]
    if body.outputs[0] not in made or any(follow[value] is not value for value in kept):
        return None
    part = _part(body, nodes, made, taken)
    if part is None or None in map(_kind, given.values()):
        return None
    feeds = {_name(value): array for value, array in given.items() if array is not None}
    try:
        run = Runner(ir.Model(part, ir_version=IR_VERSION))
        for number in range(most):
            now = feeds | {_name(body.inputs[0]): np.array(number), _name(body.inputs[1]): np.array(True)}
            found = run({name: now[name] for name in run.inputs})
            if not found[_name(body.outputs[0])].reshape(-1)[0]:
                return number + 1
            feeds |= {_name(value): found[_name(follow[value])] for value in follow if value not in kept}
    except (ModelError, KeyError):
        return None
    return most


def _name(value: ir.Value) -> str:
    return value.name or ""


def _kind(array: Array | None) -> np.dtype[np.generic] | None:
    return None if array is None else array.dtype


def _needed(body: ir.Graph) -> tuple[Collection[ir.Node], Collection[ir.Value]]:
    """The nodes that the condition depends on, in any round, and the inputs that they take."""
    nodes, taken = set[ir.Node](), dict[ir.Value, None]()
    pending = [body.outputs[0]]
    while pending:
        value = pending.pop()
        maker = value.producer()
        if maker is not None and maker.graph is body and maker not in nodes:
            nodes.add(maker)
            pending += operands(maker)
        elif value in body.inputs and value not in taken:
            taken[value] = None
            place = body.inputs.index(value)
            pending += [body.outputs[place - 1]] if place > 1 else []
    return nodes, taken


def _part(
    body: ir.Graph, nodes: Collection[ir.Node], outputs: Sequence[ir.Value], inputs: Collection[ir.Value]
) -> ir.Graph | None:
    """A graph of copies of some nodes of the body; None where they need more than these inputs and constants."""
    copies: dict[ir.Value, ir.Value] = {value: ir.Value(name=value.name, type=value.type) for value in inputs}
    fixed: list[ir.Value] = []
    made: list[ir.Node] = []
    for node in (node for node in body if node in nodes):
        if any(attribute.type == ir.AttributeType.GRAPH for attribute in node.attributes.values()):
            return None
        for value in operands(node):
            if value not in copies:
                known = constant(value)
                if known is None:
                    return None
                copies[value] = ir.Value(name=value.name, const_value=ir.Tensor(known, name=value.name))
                fixed.append(copies[value])
        made.append(copied(node, copies))
    results = [copies[value] for value in dict.fromkeys(outputs)]
    graph = ir.Graph([copies[v] for v in inputs], results, nodes=made, opset_imports={"": OPSET}, name="rounds")
    for value in fixed:
        graph.register_initializer(value)
    return graph
