"""Smaller numbers, same result: channels whose bias alone exceeds what float32 holds exactly.

Where weights have one exponent per channel, a channel that hardly depends on its input has tiny weights, a huge bias
in their units and a large shift: its exact sums need 32 bits and more, its output is (almost) constant. With Σ between
known bounds, ``R((Σ + b) / 2**s)`` is rewritten as ``k + R((Σ + b') / 2**s')`` with small b' and s'.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinsmith.ops.linear_plan import Plan
from tinsmith.quant.linear import FLOAT32_EXACT
from tinsmith.quant.rounding import Rounding, qrange

_STEP = 23
"""The shift given to channels that choose between two values: sums of less than 2**22 and half a step fit 24 bits."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One output channel: Σ lies in [low, high]; the output is sat(offset + R((Σ + bias) / 2**shift))."""

    low: int
    high: int
    bias: int
    shift: int
    offset: int = 0
    constant: bool = False

    def fits(self) -> bool:
        """Whether float32 sums are exact, a half step included."""
        half = 1 << (self.shift - 1) if self.shift > 0 else 0
        return max(abs(self.low), abs(self.high)) + abs(self.bias) + half < FLOAT32_EXACT


def slimmed(found: Plan, bits: int, *, relu: bool) -> Plan:
    """The same node with other numbers, so that float32 holds the sums of as many channels as possible."""
    lows, highs = found.reach
    filters, bias, shifts = found.filters.copy(), found.bias.copy(), found.shifts.copy()
    offset = found.offset.copy()
    for n in range(len(bias)):
        channel = Channel(int(lows[n]), int(highs[n]), int(bias[n]), int(shifts[n]))
        if channel.fits():
            continue
        slim = slim_channel(channel, found.rounding, bits, relu=relu)
        if slim is not None:
            bias[n], shifts[n], offset[n] = slim.bias, slim.shift, slim.offset
            filters[n] *= not slim.constant
    return replace(found, filters=filters, bias=bias, shifts=shifts, offset=offset)


def slim_channel(channel: Channel, rounding: Rounding, bits: int, *, relu: bool) -> Channel | None:
    """An equivalent channel that fits, or None."""
    if channel.shift < 0:
        return None
    ends = [rounded(end + channel.bias, channel.shift, rounding) for end in (channel.low, channel.high)]
    lowest, highest = qrange(bits)
    first, last = (min(highest, max(0 if relu else lowest, end)) for end in ends)
    if first == last:
        return Channel(0, 0, first, 0, constant=True)
    for found in (_whole_steps(channel), _one_boundary(channel, ends, rounding)):
        if found is not None and found.fits() and abs(found.offset) < FLOAT32_EXACT / 4:
            return found
    return None


def rounded(value: int, shift: int, rounding: Rounding) -> int:
    """R(value / 2**shift) of Python integers."""
    if shift == 0:
        return value
    floor, rest = value >> shift, value & ((1 << shift) - 1)
    half = 1 << (shift - 1)
    tie_up = rounding is Rounding.HALF_UP or floor % 2 == 1
    return floor + (rest > half or (rest == half and tie_up))


def _whole_steps(channel: Channel) -> Channel:
    """The bias without an even number of output steps: ties to even stay ties to even."""
    offset = 2 * rounded(channel.bias, channel.shift + 1, Rounding.HALF_UP)
    return replace(channel, bias=channel.bias - (offset << channel.shift), offset=offset)


def _one_boundary(channel: Channel, ends: list[int], rounding: Rounding) -> Channel | None:
    """Two neighbouring outputs: all that matters is on which side of the boundary the sum lies."""
    below, above = ends
    if channel.shift < 1 or above != below + 1 or channel.high - channel.low >= 1 << (_STEP - 1):
        return None
    boundary = (2 * below + 1) << (channel.shift - 1)
    distance, half = channel.bias - boundary, 1 << (_STEP - 1)
    if rounding is Rounding.HALF_UP or below % 2 == 0:
        return replace(channel, bias=distance + half, shift=_STEP, offset=below)
    return replace(channel, bias=distance - half, shift=_STEP, offset=above)
