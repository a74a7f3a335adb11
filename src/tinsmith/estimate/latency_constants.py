"""What the turns of a chip's loops cost: the numbers behind `tinsmith.estimate.latency`.

Those in `FITTED`, and the errors, are what ``benchmarks/latency.py`` prints. The others are facts about the chips, or
assumptions that are called so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tinsmith.ops.work import Kernel
from tinsmith.units import KIB, MIB

Rate = str | float
"""Cycles: the name of a fitted constant, or a number that was not fitted."""


@dataclass(frozen=True, slots=True)
class Chip:
    """Facts about a chip and the memory beside it, on the boards and with the settings of the measurements.

    Attributes:
        megahertz: Clock of the cores.
        cache: Bytes of the cache between the cores and PSRAM or flash.
        flash: Nanoseconds per byte of flash that misses the cache: quad SPI at 80 MHz takes 20 clocks to send command
            and address, and 2 for each byte of the cache's line.
        psram: Bytes of PSRAM.
    """

    megahertz: float
    cache: int
    flash: float
    psram: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Cycles of the parts of one kind of kernel.

    Attributes:
        step: For a turn of the innermost loop.
        entry: For entering it.
        call: For calling the kernel.
    """

    step: Rate = 0.0
    entry: Rate = 0.0
    call: Rate = 0.0


def _line(size: int, megahertz: float = 80.0) -> float:
    """Nanoseconds per byte when a cache line of ``size`` bytes is read from quad SPI flash."""
    return (20 + 2 * size) / megahertz * 1000 / size


CHIPS: Mapping[str, Chip] = MappingProxyType(
    {
        "esp32s3": Chip(megahertz=240.0, cache=64 * KIB, flash=_line(64), psram=8 * MIB),
        "esp32p4": Chip(megahertz=360.0, cache=256 * KIB, flash=_line(128), psram=32 * MIB),
    }
)

RATES: Mapping[Kernel, Rates] = MappingProxyType(
    {
        Kernel.CONV: Rates(1.0, "window", "call"),
        Kernel.CONV_UNALIGNED: Rates(1.0, "unaligned window", "call"),
        Kernel.DEPTHWISE: Rates("channelwise", call="call"),
        Kernel.DEPTHWISE_UNALIGNED: Rates("unaligned channelwise", call="call"),
        Kernel.POOL: Rates("channelwise", call="call"),
        Kernel.POOL_UNALIGNED: Rates("unaligned channelwise", call="call"),
        Kernel.VECTOR: Rates("vector"),
        Kernel.COPY: Rates("vector", call="window"),
        Kernel.TABLE: Rates("element"),
        Kernel.SCALAR: Rates("element"),
        Kernel.FLOAT: Rates(40.0),
        Kernel.FUNCTION: Rates(250.0),
        Kernel.RECURRENT: Rates(1.0, "unaligned window", 250.0),
        Kernel.VIEW: Rates(),
    }
)
"""Cycles by kind of kernel. 1 for a vector of products is what the vector units can do at best, and these kernels do.

The other plain numbers are assumptions: what was measured has no such nodes, or hardly any.
"""

PRIORS: Mapping[str, float] = MappingProxyType(
    {
        "window": 15.0,
        "unaligned window": 40.0,
        "call": 50.0,
        "channelwise": 4.0,
        "unaligned channelwise": 11.0,
        "vector": 6.0,
        "element": 8.0,
        "node": 5000.0,
        "esp32s3 psram": 12.5,
        "esp32p4 psram": 5.0,
        "esp32p4 pace": 1.0,
    }
)
"""What a constant is taken to be before any whole model is looked at: cycles; nanoseconds per byte of PSRAM; and the
pace, the share of these cycles that a chip takes, 1 for the ESP32-S3. (A vector of products takes the same on both.)

Those of convolutions are read off the times of single kernels, the others are guesses.
"""

FITTED: Mapping[str, float] = MappingProxyType(
    {
        "window": 15.4,
        "unaligned window": 46.1,
        "call": 49.0,
        "channelwise": 3.28,
        "unaligned channelwise": 12.2,
        "vector": 5.82,
        "element": 7.77,
        "node": 5160.0,
        "esp32s3 psram": 11.5,
        "esp32p4 psram": 4.57,
        "esp32p4 pace": 0.79,
    }
)
"""The constants that fit the measurements best."""

WEIGHTS_KEPT, WEIGHTS_LOST = 0.9, 1.1
"""Of the cache: weights up to the first stay in it from one pass to the next, from the second on none of them do."""
TENSORS_KEPT, TENSORS_LOST = 0.5, 1.0
"""Of the cache: a node's tensors up to the first are found in it, from the second on none is."""
SHARED_MEMORY = 0.75
"""Share of the time for memory that is left with two cores: between 0.5, where both wait, and 1, where it is full."""
FORKED = 2.0
"""A node's fixed time with two cores: tasks are made and waited for."""
ROOM = 0.7
"""Of the PSRAM: parameters and tensors that need more are taken to leave the parameters in flash."""

MEDIAN_ERROR, WORST_ERROR = 0.050, 0.128
"""Of the models in the fit, each predicted from the others, the cache's limits chosen without it as well
(``benchmarks/latency_limits.py``); with the limits above, 0.044 and 0.101."""
