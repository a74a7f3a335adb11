"""Replacing steps spelled out by one LSTM or GRU: its input, its weights, and what the steps' results become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx_ir as ir

from tinsmith.graph import provenance
from tinsmith.graph.cells import Step
from tinsmith.graph.edit import (
    Array,
    Attribute,
    add_constant,
    discard,
    fresh,
    graph_of,
    insert,
    operands,
    replace,
    shape_of,
)
from tinsmith.graph.elements import Part, origins, size, whole

_SHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")


@dataclass(frozen=True, slots=True, eq=False)
class Unrolled:
    """Steps with the same weights.

    Attributes:
        steps: In the order of time.
        inputs: Each step's input, (I) elements.
        w, r, bias: (4 · H, I), (4 · H, H), (4 · H): i, o, f, g; or z, r, n outside and n inside of the reset gate.
        hidden, cell: The states before the first step; None for zeros.
    """

    steps: tuple[Step, ...]
    inputs: tuple[Part, ...]
    w: Array
    r: Array
    bias: Array
    hidden: Part | None
    cell: Part | None

    @property
    def size(self) -> int:
        """H."""
        return size(self.steps[0].hidden)

    @property
    def anchor(self) -> ir.Node:
        """The last node of the last step: everything the steps need is computed before it."""
        node = self.steps[-1].hidden.producer()
        assert node is not None
        return node


def replace_steps(found: Unrolled) -> bool:
    """Replaces the steps by one node; tells whether that was possible."""
    given = [part.value for part in (*found.inputs, found.hidden, found.cell) if part is not None]
    arranged = _arrangement(found.inputs)
    states = (found.hidden, found.cell)
    if arranged is None or not all(_in_a_row(part) for part in states):
        return False
    if _depends(given, found.steps) or _used_elsewhere(found, given):
        return False
    make, graph = _Maker(found.anchor), graph_of(found.anchor)
    initial = [None if part is None else make.state(part) for part in states]
    layer = make.layer(found, make.sequence(found.inputs, arranged), initial)
    _hand_out(found, layer, make, _between(found, given))
    graph.sort()
    return True


Rows = tuple[int, int, bool]
"""First and last + 1 of steps next to each other, and whether they run backwards."""


def _rows(numbers: Array) -> Rows | None:
    """Numbers of steps as a range, None where they are none."""
    first, last = int(numbers[0]), int(numbers[-1])
    if np.array_equal(numbers, np.arange(first, last + 1)):
        return first, last + 1, False
    return (last, first + 1, True) if np.array_equal(numbers, np.arange(first, last - 1, -1)) else None


def _arrangement(inputs: Sequence[Part]) -> Rows | Literal["apart", "columns"] | None:
    """How the steps' inputs lie: values of their own, columns or rows of one value; None for any other way."""
    steps, width, value = len(inputs), len(inputs[0]), inputs[0].value
    if any(part.value is not value for part in inputs):
        return "apart" if all(part.is_whole for part in inputs) else None
    at, count = np.stack([part.at for part in inputs]), size(value)
    if count % width == 0 and np.array_equal(at, at[:, :1] + np.arange(width)) and not np.any(at[:, 0] % width):
        return _rows(at[:, 0] // width)
    columns = count == steps * width and np.array_equal(at, np.arange(count).reshape(width, steps).T)
    return "columns" if columns else None


def _in_a_row(part: Part | None) -> bool:
    return part is None or np.array_equal(part.at, part.at[0] + np.arange(len(part)))


def _depends(values: Iterable[ir.Value], steps: Sequence[Step]) -> bool:
    """Whether one of the values is computed from the steps' results."""
    results = {value for step in steps for value in (step.hidden, step.state)}
    seen: set[ir.Value] = set()
    pending = list(values)
    while pending:
        value = pending.pop()
        if value in results:
            return True
        node = value.producer()
        if value not in seen and node is not None:
            seen.add(value)
            pending += operands(node)
    return False


def _used_elsewhere(found: Unrolled, given: Sequence[ir.Value]) -> bool:
    """Whether something between the steps, that is neither a hidden state nor the last cell, is used by others."""
    results = {value for step in found.steps for value in (step.hidden, step.state)}
    free = {step.hidden for step in found.steps} | {found.steps[-1].state}
    inside = _between(found, given)
    recurrent: set[ir.Node] = set()
    for node in graph_of(found.anchor):
        if node not in inside:
            continue
        if any(value in results or value.producer() in recurrent for value in operands(node)):
            recurrent.add(node)
            for value in node.outputs:
                if value not in free and (
                    value.is_graph_output() or any(user not in inside for user in value.consumers())
                ):
                    return True
    return False


def _between(found: Unrolled, given: Sequence[ir.Value]) -> set[ir.Node]:
    """The nodes from the inputs and first states to the last results."""
    ends, seen = set(given), set[ir.Node]()
    pending = [found.anchor]
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        for value in operands(node):
            source = value.producer()
            if source is not None and value not in ends:
                pending.append(source)
    return seen


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes nodes in front of the last step."""

    anchor: ir.Node

    def op(
        self,
        op_type: str,
        inputs: Sequence[ir.Value],
        more: Sequence[Array],
        shape: Sequence[int],
        attributes: Mapping[str, Attribute] | None = None,
    ) -> ir.Value:
        """A node with constants behind its inputs."""
        graph, name = graph_of(self.anchor), f"{self.anchor.name}.{op_type}"
        constants = [add_constant(graph, array, f"{name}.{index}") for index, array in enumerate(more, 1)]
        return insert(self.anchor, op_type, [*inputs, *constants], shape, attributes, name=name)

    def reshape(self, value: ir.Value, shape: Sequence[int]) -> ir.Value:
        """The same elements in another shape."""
        if shape_of(value) == tuple(shape):
            return value
        return self.op("Reshape", [value], [np.array(shape, np.int64)], shape)

    def rows(self, value: ir.Value, rows: Rows) -> ir.Value:
        """Steps of (S, 1, …)."""
        start, end, backwards = rows
        steps, *rest = shape_of(value)
        if (start, end) != (0, steps):
            bounds = [np.array([bound], np.int64) for bound in (start, end, 0, 1)]
            value = self.op("Slice", [value], bounds, (end - start, *rest))
        if backwards and end - start > 1:
            axes = {"batch_axis": 1, "time_axis": 0}
            value = self.op("ReverseSequence", [value], [np.array([end - start], np.int64)], shape_of(value), axes)
        return value

    def sequence(self, inputs: Sequence[Part], arranged: Rows | Literal["apart", "columns"]) -> ir.Value:
        """The steps' inputs as one tensor (T, 1, I)."""
        steps, width, value = len(inputs), len(inputs[0]), inputs[0].value
        if arranged == "apart":
            each = [self.reshape(part.value, (1, 1, width)) for part in inputs]
            return self.op("Concat", each, [], (steps, 1, width), {"axis": 0})
        if arranged == "columns":
            columns = self.reshape(value, (width, steps))
            turned = self.op("Transpose", [columns], [], (steps, width), {"perm": (1, 0)})
            return self.reshape(turned, (steps, 1, width))
        return self.rows(self.reshape(value, (size(value) // width, 1, width)), arranged)

    def state(self, part: Part) -> ir.Value:
        """An initial state (1, 1, H)."""
        known, count = part.constant, len(part)
        if known is not None:
            return add_constant(graph_of(self.anchor), known.reshape(1, 1, -1), f"{self.anchor.name}.initial")
        start, total = int(part.at[0]), size(part.value)
        if start % count or total % count:
            flat = self.rows(self.reshape(part.value, (total,)), (start, start + count, False))
            return self.reshape(flat, (1, 1, count))
        steps = self.reshape(part.value, (total // count, 1, count))
        return self.rows(steps, (start // count, start // count + 1, False))

    def layer(self, found: Unrolled, x: ir.Value, initial: Sequence[ir.Value | None]) -> ir.Node:
        """The LSTM or GRU."""
        graph, count, kind = graph_of(self.anchor), found.size, found.steps[0].op_type
        z, last = slice(0, 2 * count), slice(3 * count, 4 * count)
        w, r, bias = found.w, found.r, np.concatenate([found.bias, np.zeros_like(found.bias)])
        attributes = [ir.AttrInt64("hidden_size", count)]
        if kind == "GRU":
            w, r = w[: 3 * count], np.concatenate([r[z], r[last]])
            bias = np.concatenate([found.bias[: 3 * count], np.zeros(2 * count, np.float32), found.bias[last]])
            attributes.append(ir.AttrInt64("linear_before_reset", 1))
        label = fresh(graph, f"{self.anchor.name}.{kind}")
        arrays = {"W": w, "R": r, "B": bias}
        weights = [add_constant(graph, array[None].astype(np.float32), f"{label}.{n}") for n, array in arrays.items()]
        given = any(value is not None for value in initial)
        inputs = [x, *weights, *([None, *initial[: 2 if kind == "LSTM" else 1]] if given else [])]
        node = ir.Node("", kind, inputs, attributes, num_outputs=3 if kind == "LSTM" else 2, name=label)
        shapes = ((len(found.steps), 1, 1, count), (1, 1, count), (1, 1, count))
        for output, name, shape in zip(node.outputs, ("Y", "Y_h", "Y_c"), shapes, strict=False):
            output.name, output.shape = fresh(graph, f"{label}.{name}"), ir.Shape(shape)
            output.type = ir.TensorType(ir.DataType.FLOAT)
        graph.insert_before(self.anchor, node)
        provenance.inserted(graph, node)
        return node


def _hand_out(found: Unrolled, layer: ir.Node, make: _Maker, inside: set[ir.Node]) -> None:
    """Lets everyone outside use the layer's results, and removes the steps."""
    anchor, y, last = found.anchor, layer.outputs[0], found.steps[-1]
    # The nodes of all results first: they stand in front of a node that goes with the last of the old ones.
    results: list[tuple[ir.Value, ir.Value]] = []

    def hand(old: ir.Value, new: ir.Value) -> None:
        results.append((old, make.reshape(new, shape_of(old))))

    def wanted(value: ir.Value) -> bool:
        return value.is_graph_output() or any(user not in inside for user in value.consumers())

    for joint in _joints(found):
        rows = _steps_of(joint, found)
        if rows is not None:
            hand(joint.outputs[0], make.rows(y, rows))
    for t, step in enumerate(found.steps[:-1]):
        if wanted(step.hidden):
            hand(step.hidden, make.rows(y, (t, t + 1, False)))
    if last.cell is not None and wanted(last.cell):
        hand(last.cell, layer.outputs[2])
    if wanted(last.hidden):
        hand(last.hidden, layer.outputs[1])
    for old, new in results:
        maker = old.producer()
        # One that only went into a Concat is gone with that.
        if maker is not None and maker.graph is not None:
            replace(old, new, keep_name=True)
    for node in (*(new.producer() for _, new in results), anchor):
        if node is not None and node.graph is not None:
            discard(node)


def _joints(found: Unrolled) -> list[ir.Node]:
    """The Concats that the hidden states go into."""
    joints: dict[ir.Node, None] = {}
    pending = [found.steps[0].hidden, found.steps[-1].hidden]
    while pending:
        for user in pending.pop().consumers():
            if user.op_type == "Concat":
                joints[user] = None
            elif user.op_type in _SHAPING:
                pending.append(user.outputs[0])
    return list(joints)


def _steps_of(node: ir.Node, found: Unrolled) -> Rows | None:
    """The steps whose hidden states a Concat puts one behind the other; None for anything else."""
    numbers = {step.hidden: t for t, step in enumerate(found.steps)}
    result = whole(node.outputs[0])
    if len(result) % found.size:
        return None
    places = np.full(len(result), -1)
    for here, piece in origins(result):
        if piece.value in numbers:
            places[here] = numbers[piece.value] * found.size + piece.at
    at = places.reshape(len(result) // found.size, found.size)
    if at.min() < 0 or not np.array_equal(at, at[:, :1] + np.arange(found.size)):
        return None
    return _rows(at[:, 0] // found.size)
