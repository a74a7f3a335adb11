"""QuantizeLinear, DequantizeLinear, RequantizeLinear (arithmetic §11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tinsmith.ops.base import ALL, Operator
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.layouts import passive
from tinsmith.ops.places import common_layout
from tinsmith.ops.unary import element_cost, same_shape
from tinsmith.ops.values import from_real, real, shifted
from tinsmith.ops.work import GONE, Slow, Work, sized
from tinsmith.program import DType

LEFT_SHIFTS = {(8, 8): 6, (16, 8): 4}
"""Largest left shift that works on every chip, by width of input and output: the ESP32-S3 goes wrong beyond."""


def requantize(call: Call) -> Sequence[Array]:
    """``sat(rshift(x, e_y - e_x))``; from float ``sat(R(f32(x·2**-e_y)))``; to float ``f32(x·2**e_x)``."""
    x = call.arg(0)
    if call.is_float or x.data.dtype == np.float32:
        return [from_real(call, real(x))]
    return [shifted(call, x.data, call.out.exponent - x.exponent)]


def emit_requantize(e: Emit) -> None:
    """Scaling by a power of two is exact in float32, and so is rounding."""
    call, layout = e.call, common_layout(e)
    x, source = e.x(0, layout), call.arg(0)
    is_float = not DType.of(source.data.dtype).quantized
    if is_float:  # a NaN becomes the largest integer
        x = e.op("Where", e.op("IsNaN", x), e.scalar(np.inf), x)
    shift = (0 if call.is_float else call.out.exponent) - (0 if is_float else source.exponent)
    if shift != 0:
        x = e.op("Mul", x, e.scalar(2.0**-shift))
    if not call.is_float:
        x = e.quantized(x) if is_float or shift > 0 else e.clipped(x, call.bits)
    e.give(x, layout=layout)


def left_shift_limit(call: Call) -> str | None:
    """Far left shifts come out wrong on the ESP32-S3."""
    source, result = DType.of(call.arg(0).data.dtype), call.out.dtype
    if not (source.quantized and result.quantized):
        return None
    left = call.arg(0).exponent - call.out.exponent
    most = LEFT_SHIFTS.get((source.bits, result.bits))
    if most is None or left <= most:
        return None
    return (
        f"it shifts left by {left} bits, more than the {most} that work from int{source.bits} to int{result.bits}. "
        "Bring the two exponents closer."
    )


def requantize_work(call: Call, shapes: Sequence[tuple[int, ...]]) -> Work:
    """Vectors between integers, one element at a time to and from float."""
    work = sized(call, shapes)
    source = DType.of(call.arg(0).data.dtype)
    if not (source.quantized and call.out.dtype.quantized):
        return work
    if source is call.out.dtype:
        reason = "it only changes the exponent, for operands that have to share one."
        remedy = "Let the operands of Add, Concat and their like share one exponent."
    else:
        reason = f"it only changes the width, from {source.name.lower()} to {call.out.dtype.name.lower()}."
        remedy = "Give neighbouring layers the same width."
    return replace(work, slow=Slow(reason, remedy, GONE))


OPERATORS = tuple(
    Operator(
        name,
        requantize,
        emit_requantize,
        shape=same_shape,
        types=ALL,
        layout=passive,
        rules=(left_shift_limit,),
        cost=element_cost,
        importable=False,
        work=requantize_work,
    )
    for name in ("QuantizeLinear", "DequantizeLinear", "RequantizeLinear")
)
