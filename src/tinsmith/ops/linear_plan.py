"""What can be proved about the sums of a linear node before it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tinsmith.ops.call import Array
from tinsmith.ops.emit import Emit, NotExpressible
from tinsmith.ops.linear import bias_of, lanes_of, shifts_of, unit_of
from tinsmith.ops.ranges import Range, known_range
from tinsmith.quant.lanes import Lane
from tinsmith.quant.linear import FLOAT32_EXACT, FLOAT64_EXACT
from tinsmith.quant.rounding import Rounding, qrange, wrap

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A linear node with constant weights, and what can be proved about its sums.

    Attributes:
        filters: Weights (N, products per sum).
        bias: (N,), as the accumulators start with it.
        shifts: (N,) right shifts to the output.
        offset: (N,) what to add after rounding, zeros unless `tinsmith.ops.linear_slim` made the numbers smaller.
        rounding: The target's.
        inputs: Smallest and largest input, zero included.
        lanes: The accumulators.
        reach: Per channel, what no sum of any of its products can go below or beyond.
    """

    filters: Ints
    bias: Ints
    shifts: Ints
    offset: Ints
    rounding: Rounding
    inputs: Range
    lanes: tuple[Lane, ...]
    reach: tuple[Ints, Ints] = field(init=False)

    def __post_init__(self) -> None:
        low, high = (int(bound) for bound in self.inputs)
        total, size = self.filters.sum(axis=1), np.abs(self.filters).sum(axis=1)
        positive, negative = (size + total) // 2, (total - size) // 2
        object.__setattr__(self, "reach", (high * negative + low * positive, high * positive + low * negative))

    @property
    def scale(self) -> NDArray[np.float64]:
        """2**-s per channel."""
        return np.ldexp(1.0, -self.shifts)

    @property
    def quick(self) -> bool:
        """Whether `Emit.rounded_small` rounds the scaled sums rightly, which is faster than rounding down.

        Rounding to even needs nothing. Rounding half up becomes rounding to nearest without ties when half of the
        sums' last place is added instead of half a step; that takes one more bit.
        """
        if np.any(self.offset):
            return False
        return self.rounding is Rounding.HALF_EVEN or 2 * self.largest() + 1 < FLOAT32_EXACT

    @property
    def half(self) -> Ints:
        """What to add before rounding down; zeros where the target rounds to even."""
        half = np.where(self.shifts > 0, np.int64(1) << np.maximum(self.shifts - 1, 0), 0)
        return half if self.rounding is Rounding.HALF_UP else np.zeros_like(half)

    def start(self, *, quick: bool = False) -> NDArray[np.float64]:
        """The scaled bias with what rounding down needs, or `Emit.rounded_small` where ``quick``."""
        if quick and self.rounding is Rounding.HALF_UP:
            return (self.bias + np.where(self.shifts > 0, 0.5, 0.0)) * self.scale
        return (self.bias + self.half) * self.scale

    def largest(self) -> float:
        """Bound of every partial sum in any order, bias and rounding included."""
        lowest, highest = self.reach
        start = self.bias + self.half
        return float(max((highest + np.maximum(start, 0)).max(), -(lowest + np.minimum(start, 0)).min()))

    def is_narrow(self) -> bool:
        """Whether float32 sums are exact."""
        return self.largest() < FLOAT32_EXACT

    def doubtful(self) -> Ints:
        """Channels whose accumulator cannot be proved to stay in its range."""
        lowest, highest = self.reach
        found = np.zeros(len(self.bias), bool)
        for lane in self.lanes:
            low, high = qrange(lane.bits)
            part = lane.channels
            found[part] = (self.bias[part] + highest[part] > high) | (self.bias[part] + lowest[part] < low)
        return np.flatnonzero(found)

    def fullest(self) -> float | None:
        """The largest share of a saturating accumulator's range that any sum can reach; None where none saturates.

        Below 1, no sum can saturate.
        """
        lowest, highest = self.reach
        ends = np.maximum(self.bias + highest, -1 - (self.bias + lowest))
        shares = [ends[lane.channels].max() / 2.0 ** (lane.bits - 1) for lane in self.lanes if lane.every]
        return float(max(shares)) if shares else None


def need_constants(e: Emit) -> None:
    """Only what is known now can be folded into the graph.

    Raises:
        NotExpressible: Weights or bias are computed.
    """
    if not all(e.is_const(index) for index in (1, 2) if e.call.optional(index) is not None):
        raise NotExpressible("weights or a bias that are computed")


def plan(e: Emit, filters: Array, x: str, *, depthwise: bool) -> Plan:
    """Collect a node's facts.

    Args:
        e: The node.
        filters: Integer weights (N, products per sum).
        x: The input's tensor in the graph.
        depthwise: Which accumulators it uses.

    Raises:
        NotExpressible: An accumulator that wraps could wrap.
    """
    call, channels = e.call, len(filters)
    lanes = tuple(lanes_of(unit_of(call), channels, depthwise=depthwise))
    bias = bias_of(call, channels)
    for lane in lanes:
        if lane.bits < 64:
            bias[lane.channels] = wrap(bias[lane.channels], lane.bits)
    shifts = np.broadcast_to(np.clip(shifts_of(call), -16, 62), (channels,)).astype(np.int64)
    low, high = known_range(e.builder, x, call.bits)
    inputs = (min(low, 0.0), max(high, 0.0))
    none = np.zeros_like(shifts)
    found = Plan(filters.astype(np.int64), bias, shifts, none, call.target.rounding, inputs, lanes)
    if float(np.abs(bias).max(initial=0)) >= FLOAT64_EXACT or found.largest() >= FLOAT64_EXACT:
        raise NotExpressible("sums beyond 2**53")
    doubtful = found.doubtful()
    if any(
        lane.channels.start <= channel < lane.channels.stop for lane in lanes if not lane.every for channel in doubtful
    ):
        raise NotExpressible("an accumulator that could wrap")
    share = found.fullest()
    if share is not None:
        e.note_reach(share)
    return found
