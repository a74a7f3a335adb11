"""What an operator does with factors on the channels of its inputs.

If every channel of a value were divided by a positive number of its own, could the operator's result be the same but
for such factors? Equalization (`tinsmith.algorithms.equalize`) looks for factors that make channels alike; this is
what it has to know of an operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tinsmith.ops.floatnode import FloatNode


class Passage(Enum):
    """How factors go through a node."""

    STOPS = "its result changes in another way: no factor passes"
    MOVES = "elements of the inputs move, each keeps its factor"
    KEEPS = "an element of the output has the factor of the same element of input 0"
    CHANNELS = "a channel (axis 1) of the output has the factor of the same channel of input 0"
    SUMS = "operands and output have the same factors"
    PRODUCT = "an element of the output has the product of the operands' factors"
    QUOTIENT = "an element of the output has the factor of input 0, if input 1 has none"


@dataclass(frozen=True, slots=True)
class Weighted:
    """A linear operator with constant weights takes factors into them, on both sides.

    Attributes:
        channels: Axis of the channels in input 0 and in the output.
        rows: Axis of the weights along the output's channels.
        columns: Axis of the weights along the input's channels; None where each channel has weights of its own
            (depthwise).
        weights: Input index of the weights; the bias is the next one.
    """

    channels: int
    rows: int
    columns: int | None
    weights: int = 1


def stops(node: FloatNode) -> Passage | Weighted:
    """No factor passes."""
    return Passage.STOPS


def keeps(node: FloatNode) -> Passage | Weighted:
    """Factors pass through a function that is linear on either side of zero."""
    return Passage.KEEPS


def moves(node: FloatNode) -> Passage | Weighted:
    """Factors move with their elements, where no constant is among them."""
    constant = any(i is not None and i.const is not None and i.dtype.kind == "f" for i in node.inputs)
    return Passage.STOPS if constant else Passage.MOVES


def channelwise(node: FloatNode) -> Passage | Weighted:
    """Every channel for itself."""
    return Passage.CHANNELS if node.input(0).rank >= 3 else Passage.STOPS
