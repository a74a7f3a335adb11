"""What the compiled forms of Conv, Gemm and MatMul share: proofs that float sums are exact, rounding, guards.

Weights and bias carry the factor 2**-s of the output's shift, and half a step where the target rounds half up: scaling
by powers of two is exact, so the sums are the integer sums, and rounding down or to even is all that is left to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinsmith.ops.call import Array
from tinsmith.ops.emit import Emit, NotExpressible
from tinsmith.ops.linear import bias_of, is_relu, lanes_of, shifts_of, unit_of
from tinsmith.ops.ranges import Range, known_range
from tinsmith.quant.lanes import Lane
from tinsmith.quant.linear import FLOAT32_EXACT, FLOAT64_EXACT
from tinsmith.quant.rounding import Rounding, qrange, wrap

Ints = NDArray[np.int64]

_MARGIN = 0.98
"""Float32 sums of up to 2**16 positive terms are right to 1 %."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A linear node with constant weights, and what can be proved about its sums.

    Attributes:
        filters: Weights (N, products per sum).
        bias: (N,), as the accumulators start with it.
        half: (N,) what to add before rounding down; zeros where the target rounds to even.
        shifts: (N,) right shifts to the output.
        inputs: Smallest and largest input, zero included.
        lanes: The accumulators.
    """

    filters: Ints
    bias: Ints
    half: Ints
    shifts: Ints
    inputs: Range
    lanes: tuple[Lane, ...]

    @property
    def scale(self) -> NDArray[np.float64]:
        """2**-s per channel."""
        return np.ldexp(1.0, -self.shifts)

    @property
    def start(self) -> NDArray[np.float64]:
        """The scaled bias, rounding included."""
        return (self.bias + self.half) * self.scale

    def reach(self) -> tuple[Ints, Ints]:
        """Per channel, what no sum of any of its products can go below or beyond."""
        low, high = (int(bound) for bound in self.inputs)
        positive = np.maximum(self.filters, 0).sum(axis=1)
        negative = np.minimum(self.filters, 0).sum(axis=1)
        return high * negative + low * positive, high * positive + low * negative

    def largest(self) -> float:
        """Bound of every partial sum in any order, bias and rounding included."""
        lowest, highest = self.reach()
        start = self.bias + self.half
        return float(max((highest + np.maximum(start, 0)).max(), -(lowest + np.minimum(start, 0)).min()))

    def doubtful(self) -> Ints:
        """Channels whose accumulator cannot be proved to stay in its range."""
        lowest, highest = self.reach()
        found = np.zeros(len(self.bias), bool)
        for lane in self.lanes:
            low, high = qrange(lane.bits)
            part = lane.channels
            found[part] = (self.bias[part] + highest[part] > high) | (self.bias[part] + lowest[part] < low)
        return np.flatnonzero(found)


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
    half = np.where(shifts > 0, np.int64(1) << np.maximum(shifts - 1, 0), 0)
    if call.target.rounding is not Rounding.HALF_UP:
        half = np.zeros_like(half)
    low, high = known_range(e.builder, x, call.bits)
    found = Plan(filters.astype(np.int64), bias, half, shifts, (min(low, 0.0), max(high, 0.0)), lanes)
    if float(np.abs(bias).max(initial=0)) >= FLOAT64_EXACT or found.largest() >= FLOAT64_EXACT:
        raise NotExpressible("sums beyond 2**53")
    doubtful = found.doubtful()
    if any(
        lane.channels.start <= channel < lane.channels.stop for lane in lanes if not lane.every for channel in doubtful
    ):
        raise NotExpressible("an accumulator that could wrap")
    return found


def is_narrow(found: Plan) -> bool:
    """Whether float32 sums are exact."""
    return found.largest() < FLOAT32_EXACT


def finish(e: Emit, tensor: str, shifts: Ints, *, wide: bool) -> str:
    """Saturation, activation and rounding of scaled sums that already hold the half step; a float32 carrier."""
    clipped = e.clipped(tensor, e.call.bits, relu=is_relu(e.call), wide=wide)
    rounded = clipped
    if int(shifts.max(initial=0)) > 0:
        rounded = e.op("Floor" if e.call.target.rounding is Rounding.HALF_UP else "Round", clipped)
    return str(e.op("Cast", rounded, to=1)) if wide else rounded


def guard(e: Emit, magnitudes: str, lanes: Sequence[Lane]) -> None:
    """Rely on the largest of ``magnitudes`` staying within the lanes.

    Args:
        e: The node.
        magnitudes: Σ|x|·|w| + |bias| of the doubtful channels, in float32. Exact below 2**24; beyond, rounding errors
            of sums of positive terms are far smaller than the margin.
        lanes: The accumulators.
    """
    largest = e.op("ReduceMax", magnitudes, keepdims=0)
    limit = float(min(1 << (lane.bits - 1) for lane in lanes if lane.every))
    e.guard(largest, limit if limit < FLOAT32_EXACT else limit * _MARGIN)


def product(e: Emit, matrices: Array) -> str:
    """The finished product of input 0 and constant matrices (…, C, N) or a vector (C,), and the node's bias.

    Raises:
        NotExpressible: See `plan`.
    """
    x = e.x(0)
    columns = matrices.reshape(-1, *matrices.shape[-2:]) if matrices.ndim > 1 else matrices.reshape(1, -1, 1)
    plans = [plan(e, matrix.T, x, depthwise=False) for matrix in columns]
    first, wide = plans[0], not all(is_narrow(found) for found in plans)
    doubtful = sorted({int(channel) for found in plans for channel in found.doubtful()})
    if e.checked and doubtful:
        heavy = np.abs(matrices.astype(np.float32))
        heavy = heavy[..., doubtful] if matrices.ndim > 1 else heavy
        sums = e.op("MatMul", e.op("Abs", x), e.constant(heavy))
        guard(e, e.op("Add", sums, e.constant(np.abs(first.bias[doubtful]), np.float32)), first.lanes)
    dtype = np.float64 if wide else np.float32
    scaled = matrices * (first.scale if matrices.ndim > 1 else first.scale[0])
    sums = e.op("MatMul", e.op("Cast", x, to=11) if wide else x, e.constant(scaled, dtype))
    if np.any(first.start):
        sums = e.op("Add", sums, e.constant(first.start if matrices.ndim > 1 else first.start[0], dtype))
    return finish(e, sums, first.shifts, wide=wide)
