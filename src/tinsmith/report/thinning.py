"""Looking at a part of large values: a grid of positions, cut out where they are computed.

Making every value of a large network available takes longer than computing it. A few thousand elements of each tell its
error as well; they are cut out inside the graphs that compute the values. There a MaxPool with windows of one element
costs less than a Slice: ONNX Runtime pools values as convolutions hold them, but reorders a whole value to slice it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinsmith.ops.floatnode import Array, FloatNode, Network, Operand
from tinsmith.ops.layouts import Perm, channels_last, identity, inverse
from tinsmith.program import Node, Program, Tensor, Value

_FIRST_AXIS = 2
"""Channels stay complete: they differ more than positions do."""
_POOLED_RANKS = (3, 4)


@dataclass(frozen=True, slots=True)
class Cut:
    """What is kept of one dimension: every ``step``-th index from ``start`` on, which is 0 or ``step``."""

    axis: int
    start: int
    step: int

    @property
    def slice(self) -> slice:
        """As Python writes it."""
        return slice(self.start, None, self.step)


Cuts = tuple[Cut, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A value of a changed network or program that holds what is looked at, and little more.

    Attributes:
        name: Its name.
        perm: Order of its dimensions: dimension i is dimension ``perm[i]`` in ONNX order.
        rest: What remains to be cut off, ONNX order.
    """

    name: str
    perm: Perm
    rest: Cuts = ()


def grid(shape: Sequence[int], most: int | None) -> Cuts:
    """What to keep of a value.

    Args:
        shape: Its shape, ONNX order.
        most: Elements to keep, roughly; None for all. Channels are kept as they are, so that it may be more.

    Returns:
        One cut for each dimension that is thinned out. The first row or column is left out where others remain, since
        borders, which are few, would be seen too often.
    """
    left, steps = list(shape), dict.fromkeys(range(_FIRST_AXIS, len(shape)), 1)
    while most is not None and np.prod(left) > most:
        axis = max(steps, key=lambda axis: left[axis], default=None)
        if axis is None or left[axis] == 1:
            break
        steps[axis] += 1
        left[axis] = len(range(_start(shape[axis], steps[axis]), shape[axis], steps[axis]))
    return tuple(Cut(axis, _start(shape[axis], step), step) for axis, step in steps.items() if step > 1)


def _start(length: int, step: int) -> int:
    return step if step > 1 and 2 * step < length else 0


def taken(array: Array, cuts: Cuts) -> Array:
    """What is kept of an array."""
    index = [slice(None)] * array.ndim
    for cut in cuts:
        index[cut.axis] = cut.slice
    return array[tuple(index)]


def thinned_network(network: Network, wanted: Mapping[str, Cuts]) -> tuple[Network, dict[str, Part]]:
    """A float network whose outputs are parts of its values.

    Args:
        network: The network.
        wanted: What to keep of each value, by name.

    Returns:
        The network, and the part of each value by name.
    """
    nodes: list[FloatNode] = []
    outputs: list[Operand] = []
    parts: dict[str, Part] = {}

    def look(values: Sequence[Operand]) -> None:
        for value in values:
            if value.name in wanted and value.name not in parts:
                part, rest = _cut_operand(value, wanted[value.name], nodes)
                parts[value.name] = Part(part.name, identity(value.rank), rest)
                outputs.append(part)

    look(network.inputs)
    for node in network.nodes:
        nodes.append(node)
        look(node.outputs)
    return replace(network, nodes=tuple(nodes), outputs=tuple(outputs)), parts


def _cut_operand(value: Operand, cuts: Cuts, nodes: list[FloatNode]) -> tuple[Operand, Cuts]:
    if not cuts:
        return value, ()
    if value.rank in _POOLED_RANKS:
        part = Operand(f"{value.name}|grid", _shape(value.shape, _from_zero(cuts)), value.dtype)
        nodes.append(FloatNode("MaxPool", part.name, (value,), (part,), _window(cuts, value.rank)))
        return part, _rest(cuts)
    part = Operand(f"{value.name}|part", _shape(value.shape, cuts), value.dtype)
    columns = enumerate(_columns(cuts))
    constants = (Operand(f"{part.name}|{index}", column.shape, column.dtype, column) for index, column in columns)
    nodes.append(FloatNode("Slice", part.name, (value, *constants), (part,)))
    return part, ()


def thinned_program(program: Program, wanted: Sequence[tuple[str, Perm, Cuts]]) -> tuple[Program, list[Part]]:
    """A program whose outputs are parts of its values.

    Args:
        program: The program.
        wanted: Values with the order of their dimensions, and what to keep of them in ONNX order.

    Returns:
        The program, and the parts in the order asked for.
    """
    cutting = _Cutting(program)
    parts = [cutting.part(f"{name}|{index}", name, perm, cuts) for index, (name, perm, cuts) in enumerate(wanted)]
    outputs = tuple(cutting.values[name] for name in dict.fromkeys(part.name for part in parts))
    nodes = tuple(cutting.nodes())
    return replace(program, nodes=nodes, outputs=outputs, values=cutting.values, constants=cutting.constants), parts


class _Cutting:
    """Collects the nodes that cut parts out of a program's values."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.values = dict(program.values)
        self.constants = dict(program.constants)
        self._behind: dict[str, list[Node]] = {}

    def part(self, unique: str, name: str, perm: Perm, cuts: Cuts) -> Part:
        """A part of a value, whose cuts are meant in ONNX order."""
        if not cuts:
            return Part(name, perm)
        behind, held = self._behind.setdefault(name, []), self.values[name]
        if perm == channels_last(len(perm)) and len(perm) in _POOLED_RANKS and held.dtype.quantized:
            grid, part = f"{unique}|grid", f"{unique}|part"
            window = {**_window(cuts, len(perm)), "pads": (0,) * (2 * len(perm) - 4)}
            shape = _shape(held.shape, _moved(_from_zero(cuts), perm))
            back = inverse(perm)
            behind.append(Node("MaxPool", grid, (name,), (grid,), window))
            behind.append(Node("Transpose", part, (grid,), (part,), {"perm": back}))
            self._declare(grid, held, shape)
            self._declare(part, held, tuple(shape[axis] for axis in back))
            return Part(part, identity(len(perm)), _rest(cuts))
        moved = _moved(cuts, perm)
        inputs = [f"{unique}|{column}" for column in range(4)]
        self.constants |= {key: Tensor(key, column) for key, column in zip(inputs, _columns(moved), strict=True)}
        part = f"{unique}|part"
        behind.append(Node("Slice", part, (name, *inputs), (part,)))
        self._declare(part, held, _shape(held.shape, moved))
        return Part(part, perm)

    def _declare(self, name: str, whole: Value, shape: tuple[int, ...]) -> None:
        self.values[name] = replace(whole, name=name, shape=shape)

    def nodes(self) -> Iterator[Node]:
        """The program's nodes, each followed by those that cut parts out of its results."""
        for value in self.program.inputs:
            yield from self._behind.get(value.name, ())
        for node in self.program.nodes:
            yield node
            for name in node.outputs:
                yield from self._behind.get(name, ())


def _window(cuts: Cuts, rank: int) -> dict[str, tuple[int, ...]]:
    """A pool that takes every ``step``-th position from 0 on."""
    steps = {cut.axis: cut.step for cut in cuts}
    spatial = range(_FIRST_AXIS, rank)
    return {"kernel_shape": (1,) * len(spatial), "strides": tuple(steps.get(axis, 1) for axis in spatial)}


def _from_zero(cuts: Cuts) -> Cuts:
    return tuple(replace(cut, start=0) for cut in cuts)


def _rest(cuts: Cuts) -> Cuts:
    """What is left to cut off behind the pool: the first row or column."""
    return tuple(Cut(cut.axis, 1, 1) for cut in cuts if cut.start)


def _moved(cuts: Cuts, perm: Perm) -> Cuts:
    return tuple(replace(cut, axis=perm.index(cut.axis)) for cut in cuts)


def _shape(shape: Sequence[int], cuts: Cuts) -> tuple[int, ...]:
    return taken(np.broadcast_to(np.int8(0), tuple(shape)), cuts).shape


def _columns(cuts: Cuts) -> list[Array]:
    """Starts, ends, axes, steps: the inputs of Slice."""
    rows = [(cut.start, np.iinfo(np.int32).max, cut.axis, cut.step) for cut in cuts]
    return list(np.array(rows, np.int64).T.copy())
