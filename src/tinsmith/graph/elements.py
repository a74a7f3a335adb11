"""Where the elements of a value come from, through nodes that only move them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    Array,
    constant,
    get_int,
    get_ints,
    get_string,
    input_of,
    integers,
    known_shape,
    present,
    shape_of,
)

LARGEST = 1 << 22
"""Values with more elements are not looked through."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some elements of a value.

    Attributes:
        value: The value.
        at: Places of the elements in it, in row-major order: (n,) int64.
    """

    value: ir.Value
    at: Array

    def __len__(self) -> int:
        return len(self.at)

    def same(self, other: Part) -> bool:
        """Whether these are the same elements in the same order."""
        return self.value is other.value and np.array_equal(self.at, other.at)

    @property
    def is_whole(self) -> bool:
        """Whether these are all elements of the value in order."""
        return len(self.at) == size(self.value) and bool(np.array_equal(self.at, np.arange(len(self.at))))

    @property
    def constant(self) -> Array | None:
        """The elements where the value is a constant."""
        array = constant(self.value)
        return None if array is None else array.reshape(-1)[self.at]


def size(value: ir.Value) -> int:
    """Number of elements."""
    return prod(shape_of(value))


def whole(value: ir.Value) -> Part:
    """All elements of a value."""
    return Part(value, np.arange(size(value)))


def origin(part: Part) -> Part:
    """The same elements where they were computed, as far back as they are in one value."""
    while (source := _source(part)) is not None:
        part = source
    return part


def origins(part: Part) -> list[tuple[Array, Part]]:
    """As `origin`, for elements from several values: [(places in ``part``, where they were computed)]."""
    part = origin(part)
    node = part.value.producer()
    if node is None or node.op_type != "Concat" or not part.at.size:
        return [(np.arange(len(part)), part)]
    which, places = _concatenated(node)
    found = []
    for index in dict.fromkeys(which[part.at].tolist()):
        here = np.flatnonzero(which[part.at] == index)
        inner = Part(present(node, index), places[part.at[here]])
        found += [(here[positions], piece) for positions, piece in origins(inner)]
    return found


def _source(part: Part) -> Part | None:
    node = part.value.producer()
    move = None if node is None else _MOVES.get(node.op_type)
    if node is None or move is None or max(size(value) for value in (part.value, _first(node))) > LARGEST:
        return None
    return move(node, part)


def _first(node: ir.Node) -> ir.Value:
    return present(node, 0)


def _same_order(node: ir.Node, part: Part) -> Part | None:
    return Part(_first(node), part.at)


def _moving(picture: Callable[[ir.Node, Array], Array | None]) -> Callable[[ir.Node, Part], Part | None]:
    """A step back through a node that does with its input's places what ``picture`` does with an array."""

    def step(node: ir.Node, part: Part) -> Part | None:
        source = _first(node)
        places = picture(node, np.arange(size(source)).reshape(shape_of(source)))
        if places is None or places.shape != shape_of(part.value):
            return None
        return Part(source, places.reshape(-1)[part.at])

    return step


def _transposed(node: ir.Node, places: Array) -> Array | None:
    return places.transpose(get_ints(node, "perm", ()) or None)


def _sliced(node: ir.Node, places: Array) -> Array | None:
    starts, ends, axes, steps = (integers(input_of(node, index)) for index in range(1, 5))
    if starts is None or ends is None:
        return None
    index = [slice(None)] * places.ndim
    for start, end, axis, step in zip(
        starts, ends, axes or range(len(starts)), steps or (1,) * len(starts), strict=True
    ):
        # A backward slice to the first element ends before it.
        index[axis] = slice(start, None if step < 0 and end < -places.shape[axis] else end, step)
    return places[tuple(index)]


def _gathered(node: ir.Node, places: Array) -> Array | None:
    indices, axis = constant(input_of(node, 1)), get_int(node, "axis", 0)
    length = places.shape[axis]
    if indices is None or not indices.size or not -length <= indices.min() <= indices.max() < length:
        return None
    return np.take(places, indices, axis=axis)


def _expanded(node: ir.Node, places: Array) -> Array | None:
    return np.broadcast_to(places, shape_of(node.outputs[0]))


def _turned(node: ir.Node, places: Array) -> Array | None:
    lengths = integers(input_of(node, 1))
    axes = get_int(node, "batch_axis", 1), get_int(node, "time_axis", 0)
    if lengths is None or axes not in ((0, 1), (1, 0)):
        return None
    places = np.moveaxis(places, axes, (0, 1)).copy()
    if len(lengths) != len(places):
        return None
    for row, length in zip(places, lengths, strict=True):
        row[:length] = row[:length][::-1].copy()
    return np.moveaxis(places, (0, 1), axes)


def _split(node: ir.Node, part: Part) -> Part | None:
    source, axis = _first(node), get_int(node, "axis", 0)
    before = node.outputs[: list(node.outputs).index(part.value)]
    start = sum(shape_of(value)[axis] for value in before)
    places = np.arange(size(source)).reshape(shape_of(source))
    taken = np.take(places, range(start, start + shape_of(part.value)[axis]), axis=axis)
    return Part(source, taken.reshape(-1)[part.at])


def _concatenated(node: ir.Node) -> tuple[Array, Array]:
    """For every element of a Concat's result: which input it comes from, and its place there."""
    shapes = [shape_of(present(node, index)) for index in range(len(node.inputs))]
    axis = get_int(node, "axis", 0)
    which = np.concatenate([np.full(shape, index) for index, shape in enumerate(shapes)], axis)
    places = np.concatenate([np.arange(prod(shape)).reshape(shape) for shape in shapes], axis)
    return which.reshape(-1), places.reshape(-1)


def _concat(node: ir.Node, part: Part) -> Part | None:
    """Only where all elements come from one input."""
    which, places = _concatenated(node)
    inputs = set(which[part.at].tolist())
    return Part(present(node, inputs.pop()), places[part.at]) if len(inputs) == 1 else None


def _last_state(node: ir.Node, part: Part) -> Part | None:
    """The hidden state after the last step is the last of the sequence, where that goes one way."""
    y = node.outputs[0]
    plain = get_string(node, "direction", "forward") == "forward" and not get_int(node, "layout", 0)
    if part.value is y or part.value is not node.outputs[1] or not plain or input_of(node, 4) is not None:
        return None
    steps, _, batch, width = known_shape(y) or (0, 0, 0, 0)
    return Part(y, part.at + (steps - 1) * width) if batch == 1 else None


def _where(node: ir.Node, part: Part) -> Part | None:
    """Only where a constant says the same for all elements."""
    condition = constant(_first(node))
    if condition is None or not (condition.all() or not condition.any()):
        return None
    return operand(part, 1 if condition.all() else 2)


_MOVES: dict[str, Callable[[ir.Node, Part], Part | None]] = {
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"), _same_order),
    "Transpose": _moving(_transposed),
    "Slice": _moving(_sliced),
    "Gather": _moving(_gathered),
    "Expand": _moving(_expanded),
    "ReverseSequence": _moving(_turned),
    "Split": _split,
    "Concat": _concat,
    "Where": _where,
    "LSTM": _last_state,
    "GRU": _last_state,
}


def operand(part: Part, index: int) -> Part:
    """The elements of an operand that an element-wise node combines into these elements of its result."""
    node = part.value.producer()
    assert node is not None
    value, shape = present(node, index), shape_of(part.value)
    if shape_of(value) == shape:
        return Part(value, part.at)
    places = np.broadcast_to(np.arange(size(value)).reshape(shape_of(value)), shape)
    return Part(value, places.reshape(-1)[part.at])
