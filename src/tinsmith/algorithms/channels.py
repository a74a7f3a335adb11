"""Which channels of which values must be scaled by one factor.

Every element of every value belongs to a class; elements of one class are divided by one factor. Class 0 is that of
elements that cannot be scaled: of inputs, outputs, and whatever meets an operator no factor passes
(`tinsmith.ops.passage`). Classes are found by letting labels flow through the network: operators that move data move
the labels, sums unite those of their operands, linear operators start new ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network, Operand
from tinsmith.ops.passage import Passage, Weighted

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LinearSite:
    """A linear node and the classes on both of its sides.

    Attributes:
        node: The node.
        weighted: Where its channels are.
        columns: Class of each channel of input 0.
        rows: Class of each channel of the output.
    """

    node: FloatNode
    weighted: Weighted
    columns: Labels
    rows: Labels


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The partition.

    Attributes:
        count: How many classes there are, class 0 included.
        of: Class of every element, by float value, broadcast to its shape.
        linear: The linear nodes that take factors.
        sums: Nodes with a constant operand that takes the output's factors, and its input index.
    """

    count: int
    of: Mapping[str, Labels]
    linear: tuple[LinearSite, ...]
    sums: tuple[tuple[FloatNode, int], ...]


def classes(network: Network, kept: Set[str] = frozenset()) -> Classes:
    """Partition the elements of a network's float values.

    Args:
        network: The canonical float network.
        kept: Nodes through which no factor passes, whatever they are.
    """
    return _Flow(network, kept).run()


def along(labels: Labels, axis: int) -> Labels:
    """The labels of the channels along ``axis``, of a value whose channels have one label each."""
    place: list[int | slice] = [0] * labels.ndim
    place[axis] = slice(None)
    found: Labels = labels[tuple(place)]
    return found


def spread(labels: Labels, shape: tuple[int, ...], axis: int) -> Labels:
    """Labels of channels as the labels of all elements (a view)."""
    form = [1] * len(shape)
    form[axis] = -1
    return np.broadcast_to(labels.reshape(form), shape)


class _Flow:
    def __init__(self, network: Network, kept: Set[str]) -> None:
        self.network = network
        self.kept = kept
        self.parents: Labels = np.zeros(1, dtype=np.int64)
        self.of: dict[str, Labels] = {}
        self.linear: list[LinearSite] = []
        self.sums: list[tuple[FloatNode, int]] = []

    def run(self) -> Classes:
        for operand in self.network.inputs:
            self.of[operand.name] = _stuck(operand)
        for node in self.network.nodes:
            self._node(node)
        for operand in self.network.outputs:
            self._unite(self.of[operand.name], _stuck(operand))
        self._settle()
        _, numbers = np.unique(self.parents, return_inverse=True)
        of = {name: _mapped(labels, numbers) for name, labels in self.of.items()}
        linear = [LinearSite(s.node, s.weighted, numbers[s.columns], numbers[s.rows]) for s in self.linear]
        return Classes(int(numbers.max()) + 1, of, tuple(linear), tuple(self.sums))

    def _node(self, node: FloatNode) -> None:
        operator = operators()[node.op_type]
        passage = Passage.STOPS if node.name in self.kept else operator.passage(node)
        output = node.outputs[0]
        if isinstance(passage, Weighted):
            columns = self._channels(self.of[node.input(0).name], passage.channels)
            rows = self._new(output.shape[passage.channels])
            self.of[output.name] = spread(rows, output.shape, passage.channels)
            self.linear.append(LinearSite(node, passage, columns, rows))
        elif passage is Passage.KEEPS and node.input(0).const is None:
            self.of[output.name] = self.of[node.input(0).name]
        elif passage is Passage.CHANNELS:
            self.of[output.name] = spread(self._channels(self.of[node.input(0).name], 1), output.shape, 1)
        elif passage is Passage.MOVES:
            self._move(node)
        elif passage is Passage.SUMS:
            self._sum(node)
        elif passage in (Passage.PRODUCT, Passage.QUOTIENT):
            self._product(node, passage)
        else:
            self._stop(node)

    def _stop(self, node: FloatNode) -> None:
        for operand in _computed(node):
            self._unite(self.of[operand.name], _stuck(operand))
        for output in node.outputs:
            self.of[output.name] = _stuck(output)

    def _move(self, node: FloatNode) -> None:
        data = [operand for operand in node.inputs if operand is not None and operand.const is None]
        if len(self.parents) >= 2**24 or any(operand.dtype.kind != "f" for operand in data):
            self._stop(node)
            return
        labels = {operand.name: self.of[operand.name].astype(np.float32) for operand in data}
        # Labels are whole numbers that float32 holds: the node itself moves them.
        for name, moved in FloatNodes([node], node.outputs)(labels).items():
            self.of[name] = moved.astype(np.int64)

    def _sum(self, node: FloatNode) -> None:
        output = node.outputs[0]
        operands = _computed(node)
        labels = [np.broadcast_to(self.of[operand.name], output.shape) for operand in operands]
        for other in labels[1:]:
            self._unite(labels[0], other)
        self.of[output.name] = labels[0]
        if len(operands) == 1:
            self.sums.append((node, 1 if node.const(1) is not None else 0))

    def _product(self, node: FloatNode, passage: Passage) -> None:
        output = node.outputs[0]
        first, second = (
            None if operand is None or operand.const is not None else self.of[operand.name] for operand in node.inputs
        )
        if second is None or self._all_stuck(second):
            carrying = first
        elif passage is Passage.PRODUCT and (first is None or self._all_stuck(first)):
            carrying = second
        else:
            carrying = None
        if carrying is None:
            self._stop(node)
        else:
            self.of[output.name] = np.broadcast_to(carrying, output.shape)

    def _channels(self, labels: Labels, axis: int) -> Labels:
        """One label for each channel, after uniting those of its elements."""
        axis %= labels.ndim
        found = along(labels, axis)
        if any(stride for d, stride in enumerate(labels.strides) if d != axis and labels.shape[d] > 1):
            everywhere = spread(found, labels.shape, axis)
            if not np.array_equal(labels, everywhere):
                self._unite(labels, everywhere)
        return found

    def _new(self, count: int) -> Labels:
        start = len(self.parents)
        fresh = np.arange(start, start + count, dtype=np.int64)
        self.parents = np.concatenate([self.parents, fresh])
        return fresh

    def _all_stuck(self, labels: Labels) -> bool:
        self._settle()
        return not self.parents[np.unique(labels)].any()

    def _settle(self) -> None:
        """Every label's parent is its class's smallest label."""
        while not np.array_equal(above := self.parents[self.parents], self.parents):
            self.parents = above

    def _unite(self, first: Labels, second: Labels) -> None:
        both = np.broadcast_arrays(first, second)
        varies = [any(part.strides[d] for part in both) for d in range(both[0].ndim)]
        place = tuple(slice(None) if here else slice(0, 1) for here in varies)
        pairs = np.unique(np.stack([part[place].ravel() for part in both]), axis=1)
        while True:
            self._settle()
            one, other = self.parents[pairs]
            apart = one != other
            if not apart.any():
                return
            np.minimum.at(self.parents, np.maximum(one, other)[apart], np.minimum(one, other)[apart])


def _stuck(operand: Operand) -> Labels:
    return np.broadcast_to(np.zeros((), dtype=np.int64), operand.shape)


def _computed(node: FloatNode) -> list[Operand]:
    """The float operands that are computed."""
    return [i for i in node.inputs if i is not None and i.const is None and i.dtype.kind == "f"]


def _mapped(labels: Labels, numbers: Labels) -> Labels:
    """``numbers[labels]``, a view where the labels are one."""
    small = labels[tuple(slice(None) if stride else slice(0, 1) for stride in labels.strides)]
    return np.broadcast_to(numbers[small], labels.shape)
