"""Where a constant could go that is subtracted from a channel.

A linear operator can subtract any constant from each channel of its result: its bias does. What follows may carry the
constant along, until other linear operators add it again in their biases; if all do, the network's function is what it
was. Nothing here is approximate: a zero border around a shifted value (`pads` of a convolution) would not be shifted,
so a constant cannot pass it, and a Relu or Clip only passes it on data it does not cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from tinsmith.algorithms.channels import Labels, along, spread
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, FloatNode, Network, Operand
from tinsmith.ops.passage import Passage, Weighted
from tinsmith.ops.steps import upper_bound


@dataclass(frozen=True, slots=True, eq=False)
class Taker:
    """A linear node that adds the constants again.

    Attributes:
        node: The node.
        weighted: Where its channels are.
        columns: The mark of each channel of its input.
    """

    node: FloatNode
    weighted: Weighted
    columns: Labels


@dataclass(frozen=True, slots=True, eq=False)
class ShiftPath:
    """Where the constants of one linear node's channels go.

    Elements are marked with the number of the channel whose constant is subtracted from them, from one on; negative
    where it is added, 0 where neither.

    Attributes:
        node: The node whose bias subtracts them.
        weighted: Where its channels are.
        marks: By value: the mark of each element, broadcast to its shape.
        takers: Who adds them again.
        activations: The Relus and Clips they pass, on data that is not cut.
        free: By channel: whether its constant is added again by all that its path leads to.
    """

    node: FloatNode
    weighted: Weighted
    marks: Mapping[str, Labels]
    takers: tuple[Taker, ...]
    activations: tuple[FloatNode, ...]
    free: NDArray[np.bool_]


def shift_paths(network: Network) -> tuple[ShiftPath, ...]:
    """The paths of all linear nodes with a channel that can be shifted, in the order of the nodes."""
    passes = _Passes()
    found = []
    for index, node in enumerate(network.nodes):
        weighted = operators()[node.op_type].passage(node)
        if isinstance(weighted, Weighted) and takes_bias(node, weighted):
            path = _Flow(network, node, weighted, passes).run(network.nodes[index + 1 :])
            if path.free.any():
                found.append(path)
    return tuple(found)


def takes_bias(node: FloatNode, weighted: Weighted) -> bool:
    """Whether a linear node has a constant bias or could have one."""
    place = weighted.weights + 1
    if node.has(place):
        return node.const(place) is not None
    return int(onnx.defs.get_schema(node.op_type).max_input) > place


class _Passes:
    """Which nodes treat all positions alike; each is tried once."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    def everywhere_alike(self, node: FloatNode, weighted: Weighted) -> bool:
        """Whether constant channels give a linear node constant channels: no border, no gaps, whatever the weights."""
        if node.name not in self._known:
            source = node.input(0)
            weights = node.input(weighted.weights)
            elements = np.random.default_rng(0).uniform(0.5, 1.5, weights.shape).astype(np.float32)
            inputs = list(node.inputs[: weighted.weights + 1])
            inputs[weighted.weights] = Operand(weights.name, weights.shape, weights.dtype, elements)
            found = _run(replace(node, inputs=tuple(inputs)), {source.name: np.ones(source.shape, np.float32)})
            axis = weighted.channels % found.ndim
            means = found.mean(axis=tuple(d for d in range(found.ndim) if d != axis), keepdims=True)
            self._known[node.name] = bool(np.abs(found - means).max() <= 1e-4 * np.abs(means).max())
        return self._known[node.name]

    def keeps_constants(self, node: FloatNode) -> bool:
        """Whether a node that treats each channel for itself has results that move as its input does."""
        if node.name not in self._known:
            source, rng = node.input(0), np.random.default_rng(0)
            moved = rng.uniform(1, 2, (1, source.shape[1], *(1 for _ in source.shape[2:]))).astype(np.float32)
            before = rng.standard_normal(source.shape).astype(np.float32)
            one, other = (_run(node, {source.name: values}) for values in (before, before + moved))
            self._known[node.name] = bool(np.abs(other - one - moved).max() <= 1e-4)
        return self._known[node.name]


class _Flow:
    """Marks on their way from one linear node."""

    def __init__(self, network: Network, node: FloatNode, weighted: Weighted, passes: _Passes) -> None:
        self.ends = {operand.name for operand in network.outputs}
        self.node = node
        self.weighted = weighted
        self.passes = passes
        output = node.outputs[0]
        channels = output.shape[weighted.channels]
        first = np.arange(1, channels + 1, dtype=np.int64)
        self.marks: dict[str, Labels] = {output.name: spread(first, output.shape, weighted.channels % output.rank)}
        self.free = np.ones(channels + 1, dtype=np.bool_)
        self.free[0] = False
        self.takers: list[Taker] = []
        self.activations: list[FloatNode] = []

    def run(self, behind: tuple[FloatNode, ...]) -> ShiftPath:
        self._end(self.node)
        for node in behind:
            if not self.free.any():
                break
            if any(i is not None and i.name in self.marks for i in node.inputs):
                self._node(node)
                self._end(node)
        free = self.free[1:].copy()
        return ShiftPath(self.node, self.weighted, self.marks, tuple(self.takers), tuple(self.activations), free)

    def _node(self, node: FloatNode) -> None:
        passage = operators()[node.op_type].passage(node)
        marked = [i for i in node.inputs if i is not None and i.name in self.marks]
        output = node.outputs[0]
        alone = len(marked) == 1 and marked[0] is node.inputs[0]
        if isinstance(passage, Weighted) and alone and takes_bias(node, passage):
            if self.passes.everywhere_alike(node, passage):
                self.takers.append(Taker(node, passage, self._channels(marked[0], passage.channels)))
                return
        elif passage is Passage.KEEPS and alone and upper_bound(node) is not None:
            self.marks[output.name] = self.marks[marked[0].name]
            self.activations.append(node)
            return
        elif passage is Passage.CHANNELS and alone and self.passes.keeps_constants(node):
            self.marks[output.name] = spread(self._channels(marked[0], 1), output.shape, 1)
            return
        elif passage is Passage.MOVES and all(o.dtype.kind == "f" for o in _computed(node)):
            self.marks.update(self._moved(node))
            return
        elif passage is Passage.SUMS and len({i.name for i in marked}) == len(marked):
            self.marks[output.name] = self._added(node, marked)
            return
        for operand in marked:
            self._stop(self.marks[operand.name])

    def _end(self, node: FloatNode) -> None:
        """Results of the network stay what they are."""
        for operand in node.outputs:
            if operand.name in self.ends and operand.name in self.marks:
                self._stop(self.marks[operand.name])

    def _stop(self, marks: Labels) -> None:
        self.free[np.unique(np.abs(_distinct(marks)))] = False

    def _channels(self, operand: Operand, axis: int) -> Labels:
        """The mark of each channel; marks that do not fill channels go no further."""
        marks = self.marks[operand.name]
        axis %= marks.ndim
        found = along(marks, axis)
        mixed = marks != spread(found, marks.shape, axis)
        if mixed.any():
            touched = np.moveaxis(mixed, axis, 0).reshape(len(found), -1).any(axis=1)
            self._stop(np.moveaxis(marks, axis, 0)[touched])
        return found

    def _moved(self, node: FloatNode) -> dict[str, Labels]:
        """Marks are whole numbers that float32 holds: the node itself moves them."""
        found = FloatNodes([node], node.outputs)(self._as_floats(node))
        return {name: array.astype(np.int64) for name, array in found.items()}

    def _added(self, node: FloatNode, marked: list[Operand]) -> Labels:
        """The node itself adds marks to zeros, or subtracts them; where two would meet, both stop."""
        nothing = {
            index: Operand(i.name, i.shape, i.dtype, np.zeros(i.shape, np.float32))
            for index, i in enumerate(node.inputs)
            if i is not None and i.const is not None
        }
        bare = replace(node, inputs=tuple(nothing.get(index, i) for index, i in enumerate(node.inputs)))
        marks = self._as_floats(node)
        total = np.zeros(node.outputs[0].shape, dtype=np.int64)
        for operand in marked:
            alone = {name: array if name == operand.name else np.zeros_like(array) for name, array in marks.items()}
            found = _run(bare, alone).astype(np.int64)
            both = (total != 0) & (found != 0)
            if both.any():
                self._stop(total[both])
                self._stop(found[both])
            total = np.where(total == 0, found, total)
        return total

    def _as_floats(self, node: FloatNode) -> dict[str, NDArray[np.float32]]:
        none = np.zeros((), dtype=np.int64)
        return {
            operand.name: np.broadcast_to(self.marks.get(operand.name, none), operand.shape).astype(np.float32)
            for operand in _computed(node)
        }


def _computed(node: FloatNode) -> list[Operand]:
    return [i for i in node.inputs if i is not None and i.const is None]


def _distinct(marks: Labels) -> Labels:
    """The elements of a view that do not merely repeat others."""
    return marks[tuple(slice(None) if stride else slice(0, 1) for stride in marks.strides)] if marks.ndim else marks


def _run(node: FloatNode, values: Mapping[str, Array]) -> Array:
    output = node.outputs[0]
    return FloatNodes([node], [output])(values)[output.name]
