"""What a chip is, as data. Everything that differs between chips is a field here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from tinsmith.quant.rounding import Rounding
from tinsmith.targets.version import CURRENT, OLDEST, Version


class Saturation(Enum):
    """When an accumulator narrower than the sum saturates."""

    NEVER = "never"
    EACH_PRODUCT = "after every product"
    EACH_BLOCK = "after every block of 8 products"


@dataclass(frozen=True, slots=True)
class Accumulator:
    """The register a kernel sums its products in.

    Attributes:
        bits: Width. The bias is loaded into it first and wraps to this width.
        saturation: When the running sum is clipped to that width.
    """

    bits: int
    saturation: Saturation = Saturation.NEVER


@dataclass(frozen=True, slots=True)
class LinearUnit:
    """How Conv, Gemm and MatMul run in one element width.

    Attributes:
        block: Filters per vector: the first ``N // block * block`` channels are packed and run as vectors. 1 on
            chips without a vector unit, where nothing is packed.
        vector: Accumulator of the vector channels.
        tail: Accumulator of the last ``N % block`` channels.
        depthwise: Accumulator of depthwise convolutions, all channels.
        bias_bits: Range of the bias an exporter may use.
        bias_bytes: Width in which the file stores the bias (4: INT32, 8: INT64).
    """

    block: int
    vector: Accumulator
    tail: Accumulator
    depthwise: Accumulator
    bias_bits: int
    bias_bytes: int


class PReluStyle(Enum):
    """Which PRelu kernel a chip has in one element width (arithmetic §4.5)."""

    VECTOR_SATURATING = "both halves shifted with rounding, saturating"
    VECTOR_WRAPPING = "both halves shifted with rounding, the negative half wraps"
    FLOOR_SATURATING = "positive half copied, negative half floored, saturating"
    FLOOR_WRAPPING = "positive half copied, negative half floored, wraps"


@dataclass(frozen=True, slots=True)
class Target:
    """One chip, and the ESP-DL version it is addressed through.

    Attributes:
        name: As users write it, for example ``esp32s3``.
        family: ``pie-v1``, ``pie-v2`` or ``generic-c``; for display only.
        rounding: R of arithmetic §1.
        per_channel: Whether Conv, ConvTranspose and Gemm weights have one exponent per output channel.
        linear: `LinearUnit` by element width, 8 and 16.
        prelu: PRelu kernel by element width.
        vector_minimum: Innermost merged length from which Mul runs in integers, by element width; None where it
            always runs in float32. Also the alignment of the vector kernels.
        simd: Whether the chip has vector kernels (dot products in GRU/LSTM use them on aligned rows).
        max_shift: Largest right shift after an accumulation.
        interpolated_tables: Whether int16 tables are interpolated between entries; else the nearest one is taken.
        since: The first ESP-DL release known to support the chip.
        esp_dl: The ESP-DL release whose arithmetic the other fields describe; `tinsmith.targets.find` makes a target
            for another one.
    """

    name: str
    family: str
    rounding: Rounding
    per_channel: bool
    linear: dict[int, LinearUnit] = field(hash=False)
    prelu: dict[int, PReluStyle] = field(hash=False)
    vector_minimum: dict[int, int] | None = field(hash=False)
    simd: bool
    max_shift: int = 31
    interpolated_tables: bool = False
    since: Version = OLDEST
    esp_dl: Version = CURRENT
