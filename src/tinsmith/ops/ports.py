"""Which inputs and outputs of an operator are quantized, and how their exponents hang together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The role of an input or output."""

    ACTIVATION = "quantized, computed at run time or a constant laid out like one"
    WEIGHT = "quantized constant of a linear operator"
    BIAS = "integer constant whose exponent is the sum of the first two inputs'"
    RAW = "kept as it is: shapes, axes, indices"
    FLOAT = "kept in float32"
    BOOL = "boolean"


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output.

    Attributes:
        kind: Its role.
        axis: Channel axis (ONNX order) along which chips with per-channel weights have one exponent each.
        bits: A width of its own, whatever the node's; None follows the node.
        exponent: A fixed exponent, where the runtime dictates one.
    """

    kind: Kind
    axis: int | None = None
    bits: int | None = None
    exponent: int | None = None


ACTIVATION = Port(Kind.ACTIVATION)
RAW = Port(Kind.RAW)
FLOAT = Port(Kind.FLOAT)
BIAS = Port(Kind.BIAS)
BOOL = Port(Kind.BOOL)


@dataclass(frozen=True, slots=True)
class Ports:
    """All of a node's inputs and outputs.

    Attributes:
        inputs: One per input, absent ones included.
        outputs: One per output.
        tied: Indices of inputs that must arrive with the exponent and width of the first output (all quantized
            outputs share it too): file format §4 rule 2.
        product: Indices of two inputs whose exponents add up to at most the output's, on every channel: rule 1.
        largest_input_exponent: Upper bound of input 0's exponent, where the int8 kernel overflows beyond it.
        largest_wide_exponent: The same for int16.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    tied: tuple[int, ...] = ()
    product: tuple[int, int] | None = None
    largest_input_exponent: int | None = None
    largest_wide_exponent: int | None = None
