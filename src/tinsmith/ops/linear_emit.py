"""What the compiled forms of Conv, Gemm and MatMul share: rounding, guards, exact products.

Weights and bias carry the factor 2**-s of the output's shift, and half a step where the target rounds half up: scaling
by powers of two is exact, so the sums are the integer sums, and rounding down or to even is all that is left to do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.ops.call import Array
from tinsmith.ops.emit import FLOAT32, FLOAT64, Emit
from tinsmith.ops.linear import is_relu
from tinsmith.ops.linear_plan import Ints, Plan, plan
from tinsmith.ops.linear_slim import slimmed
from tinsmith.quant.lanes import Lane
from tinsmith.quant.linear import FLOAT32_EXACT
from tinsmith.quant.rounding import Rounding

_MARGIN = 0.98
"""Float32 sums of up to 2**16 positive terms are right to 1 %."""


def narrowed(e: Emit, found: Plan) -> Plan | None:
    """The plan, or an equivalent one, whose float32 sums are exact; None where there is none."""
    if found.is_narrow():
        return found
    slim = slimmed(found, e.call.bits, relu=is_relu(e.call))
    return slim if slim.is_narrow() else None


def finish(
    e: Emit,
    tensor: str,
    shifts: Ints,
    *,
    wide: bool = False,
    quick: bool = False,
    offset: Array | None = None,
    channels: int = 0,
) -> str:
    """Saturation, activation and rounding of scaled sums that already hold bias and half step; a float32 carrier.

    Args:
        e: The node.
        tensor: The sums.
        shifts: What they were shifted by.
        wide: Whether they are float64.
        quick: Whether rounding to even is right (`Plan.is_quick`).
        offset: What to add after rounding, shaped to broadcast.
        channels: Of a two-dimensional convolution whose channels are held in blocks; see `Emit.clipped_planes`.
    """
    relu, bits = is_relu(e.call), e.call.bits
    step = "Floor" if e.call.target.rounding is Rounding.HALF_UP else "Round"
    if offset is not None and np.any(offset):
        return e.clipped(e.op("Add", e.op(step, tensor), e.constant(offset, np.float32)), bits, relu=relu)
    rounds = int(shifts.max(initial=0)) > 0
    if rounds and quick and channels:
        return e.clipped_planes(tensor, bits, channels, relu=relu)
    result = e.clipped(tensor, bits, relu=relu, wide=wide)
    if rounds:
        result = e.rounded_small(result) if quick else e.op(step, result)
    return str(e.op("Cast", result, to=FLOAT32)) if wide else result


def guard(e: Emit, magnitudes: str, lanes: Sequence[Lane]) -> None:
    """Rely on the largest of ``magnitudes`` staying within the lanes.

    Args:
        e: The node.
        magnitudes: What no partial sum of the doubtful channels goes beyond, in float32. Exact below 2**24; beyond,
            rounding errors of sums of positive terms are far smaller than the margin.
        lanes: The accumulators.
    """
    largest = e.op("ReduceMax", magnitudes, keepdims=0)
    limit = float(min(1 << (lane.bits - 1) for lane in lanes if lane.every))
    e.guard(largest, limit if limit < FLOAT32_EXACT else limit * _MARGIN)


def guard_sums(e: Emit, sizes: str, sums: str, found: Plan, channels: Ints, behind: int = 0) -> None:
    """Rely on no partial sum leaving its lane, as Σ|x|·|w| and the finished sums show.

    No partial sum holds more than the bias and all positive products, nor less than the bias and all negative ones. The
    former come to (Σ|x|·|w| + Σx·w) / 2, the latter to (Σx·w - Σ|x|·|w|) / 2.

    Args:
        e: The node.
        sizes: Σ|x|·|w| of some channels, float32.
        sums: The scaled sums of all channels, begun with `Plan.start`; exact in float32.
        found: The plan they follow.
        channels: Which channels ``sizes`` has.
        behind: Dimensions of ``sums`` behind the channels.
    """
    shape = (-1, *(1,) * behind)
    bias = found.bias[channels]
    rest = bias - (found.start(quick=found.quick)[channels] / found.scale[channels] - bias)
    if len(channels) < len(found.bias):
        sums = e.op("Gather", sums, e.constant(channels, np.int64), axis=-len(shape))
    whole = e.op("Mul", sums, e.constant((1 / found.scale[channels]).reshape(shape), np.float32))
    doubled = e.op("Abs", e.op("Add", whole, e.constant(rest.reshape(shape), np.float32)))
    guard(e, e.op("Mul", e.op("Add", sizes, doubled), e.scalar(0.5)), found.lanes)


def product(e: Emit, matrices: Array) -> str:
    """The finished product of input 0 and constant matrices (…, C, N) or a vector (C,), and the node's bias.

    Raises:
        NotExpressible: See `plan`.
    """
    x = e.x(0)
    columns = matrices.reshape(-1, *matrices.shape[-2:]) if matrices.ndim > 1 else matrices.reshape(1, -1, 1)
    plans = [plan(e, matrix.T, x, depthwise=False) for matrix in columns]
    first, wide = plans[0], False
    doubtful = np.unique(np.concatenate([found.doubtful() for found in plans]))
    sizes = ""
    if e.checked and doubtful.size:
        heavy = np.abs(matrices.astype(np.float32))
        heavy = heavy[..., doubtful] if matrices.ndim > 1 else heavy
        sizes = e.op("MatMul", e.op("Abs", x), e.constant(heavy))
    if len(plans) == 1:
        slim = narrowed(e, first)
        wide = slim is None
        first = slim or first
        matrices = first.filters.T.reshape(matrices.shape)
    else:
        wide = not all(found.is_narrow() for found in plans)
    quick = not wide and all(found.quick for found in (first, *plans[1:]))
    start = first.start(quick=quick)
    dtype = np.float64 if wide else np.float32
    scaled = matrices * (first.scale if matrices.ndim > 1 else first.scale[0])
    sums = e.op("MatMul", e.op("Cast", x, to=FLOAT64) if wide else x, e.constant(scaled, dtype))
    if np.any(start):
        sums = e.op("Add", sums, e.constant(start if matrices.ndim > 1 else start[0], dtype))
    if sizes and first is plans[0] and len(plans) == 1 and not wide:
        guard_sums(e, sizes, sums, first, doubtful)
    elif sizes:
        guard(e, e.op("Add", sizes, e.constant(np.abs(plans[0].bias[doubtful]), np.float32)), first.lanes)
    return finish(e, sums, first.shifts, wide=wide, quick=quick, offset=first.offset)
