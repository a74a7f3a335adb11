"""Loops whose number of rounds is known are written out, sequences of tensors become the tensors themselves.

- Loop: as often as its constant trip count says, or until its condition, computed from constants and the number of the
  round, is false. Scan: once for each slice of its inputs. If: inlined where constants are folded.
- What a round computes gets names with the loop's and the round's number in front.
- What stacks up in the rounds (scan outputs) is concatenated.

Loops whose rounds depend on data stay, and are refused elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from tinsmith.errors import ModelError, UnsupportedError
from tinsmith.graph import provenance
from tinsmith.graph.edit import (
    add_constant,
    constant,
    discard,
    fresh,
    get_int,
    get_ints,
    graph_of,
    input_of,
    known_shape,
)
from tinsmith.graph.fold import evaluate
from tinsmith.graph.rounds import count_rounds

_MOST_NODES = 20_000
"""Nodes that a loop may become: beyond, no chip would run it."""
_TRUE = np.array(True)


def unroll(graph: ir.Graph) -> bool:
    """Writes out what is known of loops; tells whether there was anything.

    Raises:
        UnsupportedError: A loop would become too many nodes.
    """
    changed = False
    for node in tuple(graph):
        if node.domain not in ("", "ai.onnx") or node.graph is not graph:
            continue
        body = node.attributes.get("body")
        if node.op_type not in ("Loop", "Scan") or body is None or body.type != ir.AttributeType.GRAPH:
            continue
        try:
            changed |= _loop(node, body.as_graph()) if node.op_type == "Loop" else _scan(node, body.as_graph())
        except (ValueError, IndexError, TypeError, KeyError) as error:
            raise ModelError(
                f"the loop and its body do not fit together: {error}.", subject=f"{node.op_type} {node.name!r}"
            ) from error
    return changed


def _loop(node: ir.Node, body: ir.Graph) -> bool:
    graph, rounds = graph_of(node), input_of(node, 0)
    if rounds is not None and constant(rounds) is None:
        return False
    start = input_of(node, 1)
    first = None if start is None else constant(start)
    if start is not None and first is None:
        return False
    states = [_given(value) for value in node.inputs[2:]]
    count = None if rounds is None else int(np.asarray(constant(rounds)).reshape(-1)[0])
    going = first is None or bool(first.reshape(-1)[0])
    steady = _keeps_going(body)
    if going and steady and count is None:
        return False
    if len(body.inputs) != len(states) + 2 or len(body.outputs) < len(states) + 1:
        raise ValueError(f"the body has {len(body.inputs)} inputs, the loop {len(node.inputs)}")
    if going and not steady:
        counted = count_rounds(body, states, _MOST_NODES // _size(body) + 1)
        if counted is not None:
            count, steady = counted if count is None else min(count, counted), True
    stacks: list[list[ir.Value]] = [[] for _ in body.outputs[1 + len(states) :]]
    before, number = tuple(graph), 0
    while going and (count is None or number < count):
        _refuse_long(node, body, count if steady and count is not None else number + 1)
        given = [
            add_constant(graph, np.array(number), f"{node.name}_round"),
            add_constant(graph, _TRUE, f"{node.name}_go"),
        ]
        results = _inline(node, body, [*given, *states], number)
        states = results[1 : 1 + len(states)]
        for stack, value in zip(stacks, results[1 + len(states) :], strict=True):
            stack.append(_insert(node, "Unsqueeze", [value, _axes(node, 0)]))
        number += 1
        if not steady:
            condition = evaluate(results[0])
            if condition is None:
                _undo(graph, before)
                return False
            going = bool(condition.reshape(-1)[0])
    if not all(stacks) and any(value.uses() or value.is_graph_output() for value in node.outputs[len(states) :]):
        return False
    _finish(node, [*states, *(_joined(node, stack, 0) for stack in stacks if stack)])
    return True


def _scan(node: ir.Node, body: ir.Graph) -> bool:
    count = get_int(node, "num_scan_inputs", 0)
    values = [_given(value) for value in node.inputs]
    states, scanned = values[: len(values) - count], values[len(values) - count :]
    outputs = len(body.outputs) - len(states)
    axes = get_ints(node, "scan_input_axes", [0] * count)
    shapes = [known_shape(value) for value in scanned]
    lengths = {shape[axis] for shape, axis in zip(shapes, axes, strict=True) if shape is not None}
    if None in shapes or len(lengths) != 1 or 0 in lengths:
        return False
    length = lengths.pop()
    if len(body.inputs) != len(values) or outputs < 0:
        raise ValueError(f"the body has {len(body.inputs)} inputs, the scan {len(values)}")
    _refuse_long(node, body, length)
    backward = get_ints(node, "scan_input_directions", [0] * count)
    stacks: list[list[ir.Value]] = [[] for _ in range(outputs)]
    places = get_ints(node, "scan_output_axes", [0] * outputs)
    for number in range(length):
        slices = [
            _slice(node, value, length - 1 - number if turned else number, axis)
            for value, axis, turned in zip(scanned, axes, backward, strict=True)
        ]
        results = _inline(node, body, [*states, *slices], number)
        states = results[: len(states)]
        for stack, value, axis in zip(stacks, results[len(states) :], places, strict=True):
            stack.append(_insert(node, "Unsqueeze", [value, _axes(node, axis)]))
    turns = get_ints(node, "scan_output_directions", [0] * outputs)
    joined = [
        _joined(node, stack[::-1] if turned else stack, axis)
        for stack, axis, turned in zip(stacks, places, turns, strict=True)
    ]
    _finish(node, [*states, *joined])
    return True


def _given(value: ir.Value | None) -> ir.Value:
    if value is None:
        raise ValueError("a value it starts with is absent")
    return value


def _keeps_going(body: ir.Graph) -> bool:
    """Whether the body's condition is the one it gets, or true."""
    value: ir.Value | None = body.outputs[0]
    while value is not None and (node := value.producer()) is not None and node.op_type == "Identity":
        value = input_of(node, 0)
    if value is None or value is body.inputs[1]:
        return value is not None
    node = value.producer()
    if node is not None and node.op_type == "Constant" and "value" in node.attributes:
        return bool(node.attributes["value"].as_tensor().numpy().all())
    found = constant(value)
    return found is not None and bool(found.all())


def _size(body: ir.Graph) -> int:
    return max(1, sum(1 for _ in body.all_nodes()))


def _refuse_long(node: ir.Node, body: ir.Graph, rounds: int) -> None:
    size = _size(body)
    if rounds * size > _MOST_NODES:
        raise UnsupportedError(
            f"it would run {size} operators at least {rounds:,} times.",
            subject=f"{node.op_type} {node.name!r}",
            hint="Cut the graph before it (--outputs), or export a model whose loop is shorter.",
        )


def _inline(node: ir.Node, body: ir.Graph, arguments: Sequence[ir.Value], number: int) -> list[ir.Value]:
    """A copy of the body in front of the loop; returns its outputs."""
    graph, copy = graph_of(node), body.clone(allow_outer_scope_values=True)
    prefix = f"{node.name}_{number}/"
    given = dict(zip(copy.inputs, arguments, strict=True))
    for value in copy.initializers.values():
        if value.const_value is not None:
            given[value] = add_constant(graph, value.const_value.numpy(), prefix + (value.name or ""))
    results = [given.get(value, value) for value in copy.outputs]
    copy.outputs.clear()
    for value, new in given.items():
        value.replace_all_uses_with(new)
    nodes = list(copy)
    copy.remove(nodes)
    for inner in nodes:
        inner.name = fresh(graph, prefix + (inner.name or inner.op_type))
        for value in inner.outputs:
            if value.name:
                value.name = fresh(graph, prefix + value.name)
        provenance.inherit(inner, node)
    graph.insert_before(node, nodes)
    return results


def _insert(node: ir.Node, op_type: str, inputs: Sequence[ir.Value], **attributes: int) -> ir.Value:
    graph = graph_of(node)
    name = fresh(graph, f"{node.name}/{op_type}")
    new = ir.Node("", op_type, inputs, [ir.AttrInt64(key, value) for key, value in attributes.items()], name=name)
    new.outputs[0].name = name
    graph.insert_before(node, new)
    provenance.inherit(new, node)
    return new.outputs[0]


def _axes(node: ir.Node, axis: int) -> ir.Value:
    return add_constant(graph_of(node), np.array([axis]), f"{node.name}_axes")


def _slice(node: ir.Node, value: ir.Value, index: int, axis: int) -> ir.Value:
    return _insert(
        node, "Gather", [value, add_constant(graph_of(node), np.array(index), f"{node.name}_index")], axis=axis
    )


def _joined(node: ir.Node, stack: Sequence[ir.Value], axis: int) -> ir.Value:
    return _insert(node, "Concat", stack, axis=axis)


def _finish(node: ir.Node, results: Sequence[ir.Value]) -> None:
    """Puts results in the place of the loop's; each gets a node of its own, so that outputs keep their names."""
    for old, new in zip(node.outputs, results, strict=False):
        name, old.name = old.name, None
        value = _insert(node, "Identity", [new])
        value.name, value.type, value.shape = name or value.name, old.type, old.shape
        old.replace_all_uses_with(value, replace_graph_outputs=True)
    discard(node)


def _undo(graph: ir.Graph, before: Sequence[ir.Node]) -> None:
    kept = set(before)
    for node in reversed(tuple(graph)):
        if node not in kept:
            discard(node)
