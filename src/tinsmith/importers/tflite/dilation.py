"""Dilated convolutions, which converters write as a plain one between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND.

Rows and columns that are ``d`` apart are sorted into pictures of their own, these are convolved, and sorted back: the
same as a border, a convolution with dilation ``d``, and cutting off what was too much. That is put in its place, on the
operators of the file: elsewhere it is hard to see.

EXPAND_DIMS before the convolution and RESHAPE or SQUEEZE behind it, as convolutions over a sequence have them, and
activations may stand in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tflite import Padding

from tinsmith.importers.tflite.elements import integers_of
from tinsmith.importers.tflite.file import Graph, Operator, Tensor

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_RESHAPES = ("RESHAPE", "SQUEEZE")
_ELEMENTWISE = ("RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "ELU", "TANH", "LOGISTIC", "HARD_SWISH", "ADD", "MUL")
"""What treats every element, or every channel, for itself."""


@dataclass(frozen=True, slots=True)
class _Dilated:
    """The options of a convolution, but for its dilation."""

    options: Any
    rows: int
    columns: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.options, name)

    def DilationHFactor(self) -> int:
        """Distance of rows."""
        return self.rows

    def DilationWFactor(self) -> int:
        """Distance of columns."""
        return self.columns


@dataclass(frozen=True, slots=True)
class _Squeezed:
    """The options of a SQUEEZE."""

    axis: int

    def SqueezeDimsLength(self) -> int:
        """One dimension."""
        return 1

    def SqueezeDimsAsNumpy(self) -> list[int]:
        """Which one."""
        return [self.axis]


@dataclass(slots=True)
class _Chain:
    """What stands between the two.

    Attributes:
        places: Indices of the operators, first and last included.
        block: Distances along the dimensions of a picture.
        borders: What is put around it: before and behind, per dimension.
        crops: What is cut off, likewise.
        added: The dimension that EXPAND_DIMS adds; None where there is none.
    """

    places: list[int]
    block: tuple[int, ...]
    borders: tuple[int, ...]
    crops: tuple[int, ...] = ()
    added: int | None = None

    def dilation(self) -> tuple[int, int]:
        """Of rows and of columns."""
        if len(self.block) == 2:
            return self.block[0], self.block[1]
        return (1, self.block[0]) if self.added == 1 else (self.block[0], 1)


def fuse(graph: Graph) -> Graph:
    """Puts dilated convolutions in the place of what converters wrote for them.

    Raises:
        ValueError: An operator has inputs that cannot be (or another of numpy's and Python's own errors).
    """
    readers = graph.readers()
    operators, tensors = list(graph.operators), list(graph.tensors)
    for place, operator in enumerate(graph.operators):
        if operator.kind == "SPACE_TO_BATCH_ND":
            chain = _follow(graph, readers, place)
            if chain is not None:
                _rewrite(chain, operators, tensors)
    return replace(graph, operators=tuple(operators), tensors=tuple(tensors))


def _ints(graph: Graph, operator: Operator, index: int) -> tuple[int, ...] | None:
    tensor = graph.tensors[operator.inputs[index]]
    return None if tensor.data is None else tuple(int(element) for element in integers_of(tensor).reshape(-1))


def _follow(graph: Graph, readers: dict[int, list[int]], start: int) -> _Chain | None:
    """The way from one to the other; None where anything else is on it, or looks at it."""
    first = graph.operators[start]
    block, borders = _ints(graph, first, 1), _ints(graph, first, 2)
    if block is None or borders is None or len(block) not in (1, 2):
        return None
    chain, convolved, place = _Chain([start], block, borders), False, start
    while True:
        (value,) = graph.operators[place].outputs
        if len(readers.get(value, ())) != 1 or readers[value][0] < 0:
            return None
        place = readers[value][0]
        operator = graph.operators[place]
        chain.places.append(place)
        if operator.kind == "BATCH_TO_SPACE_ND":
            crops = _ints(graph, operator, 2)
            if not convolved or crops is None or _ints(graph, operator, 1) != block or operator.inputs[0] != value:
                return None
            chain.crops = crops
            return chain
        if operator.kind == "EXPAND_DIMS" and not convolved and chain.added is None and len(block) == 1:
            chain.added = _added(graph, operator)
            if chain.added is None:
                return None
        elif operator.kind in _CONVOLUTIONS and not convolved and operator.inputs[0] == value:
            convolved = True
            if not _is_plain(operator) or (chain.added is None) != (len(block) == 2):
                return None
        elif not (convolved and _passes(graph, operator, value, chain)):
            return None


def _added(graph: Graph, operator: Operator) -> int | None:
    """The dimension that an EXPAND_DIMS adds to (sample, step, channel): 1 or 2."""
    axis = _ints(graph, operator, 1)
    added = None if axis is None else axis[0] % 4
    return added if added in (1, 2) else None


def _is_plain(operator: Operator) -> bool:
    """Whether a convolution neither pads, nor skips, nor is dilated itself."""
    options = operator.options
    if options is None or options.Padding() != Padding.VALID:
        return False
    return bool(options.StrideH() == options.StrideW() == options.DilationHFactor() == options.DilationWFactor() == 1)


def _passes(graph: Graph, operator: Operator, value: int, chain: _Chain) -> bool:
    """Whether an operator means the same before and behind the sorting back."""
    if operator.kind in _RESHAPES:
        shape = graph.tensors[operator.outputs[0]].shape
        return chain.added is not None and operator.inputs[0] == value and len(shape) == 3
    others = [graph.tensors[index] for index in operator.inputs if index != value]
    per_channel = all(other.data is not None and all(dim == 1 for dim in other.shape[:-1]) for other in others)
    return operator.kind in _ELEMENTWISE and per_channel


def _rewrite(chain: _Chain, operators: list[Operator], tensors: list[Tensor]) -> None:
    first, last = chain.places[0], chain.places[-1]
    start, end = operators[first], operators[last]
    rest = len(tensors[start.inputs[0]].shape) - 1 - len(chain.block)
    borders = (0, 0, *chain.borders, *(0,) * (2 * rest))
    operators[first] = replace(start, kind="PAD", inputs=(start.inputs[0], _constant(tensors, borders)))
    operators[last] = replace(end, kind="CROP", inputs=(end.inputs[0], _constant(tensors, chain.crops)))
    for place in chain.places[1:-1]:
        operator = operators[place]
        if operator.kind in _CONVOLUTIONS:
            operators[place] = replace(operator, options=_Dilated(operator.options, *chain.dilation()))
        elif operator.kind in _RESHAPES and chain.added is not None:
            operators[place] = replace(
                operator, kind="SQUEEZE", inputs=operator.inputs[:1], options=_Squeezed(chain.added)
            )


def _constant(tensors: list[Tensor], pairs: Sequence[int]) -> int:
    """A new constant of pairs; returns its index."""
    shape = (len(pairs) // 2, 2)
    data = np.array(pairs, "<i4").view(np.uint8)
    tensors.append(Tensor("", shape, shape, "INT32", data, None, variable=False, sparse=False))
    return len(tensors) - 1
