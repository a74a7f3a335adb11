"""Div, Mod and Pow: float32 arithmetic on integers, in the runtime's own order of steps (arithmetic §3.4, §3.5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.ops.base import Operator, Reuse, constraint
from tinsmith.ops.broadcast import (
    Kind,
    broadcast_shape,
    element_cost,
    few_dimensions,
    free_operands,
    innermost,
    merged_dimensions_rule,
)
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit, NotExpressible
from tinsmith.ops.floatmath import fmodf, powf
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import elementwise
from tinsmith.ops.passage import Passage, stops
from tinsmith.ops.places import common_layout, operand
from tinsmith.ops.tables import emit_by_table
from tinsmith.ops.values import from_real, power, real, rounded
from tinsmith.ops.work import functions, in_float
from tinsmith.quant.rounding import qrange
from tinsmith.targets import OLDEST, Target, Version


def quotient_unit(call: Call) -> np.float32:
    """The k of arithmetic §3.4: f32(f32(2**-e_y · 2**e_a) / 2**e_b), a power of two."""
    return power(call.arg(0).exponent - call.arg(1).exponent - call.out.exponent)


def divisor_repeats(call: Call) -> bool:
    """Whether b is one number along the innermost merged dimension: then its reciprocal is taken first."""
    return call.arg(1).data.size == 1 or innermost(call).kind is Kind.FIRST


def dividend_table(call: Call) -> bool:
    """Whether the runtime makes a table over b: int8, a single a. It differs at 0/0 only."""
    return call.bits == 8 and call.arg(0).data.size == 1 and call.arg(1).data.size != 1


def div(call: Call) -> Sequence[Array]:
    """``R(f32(a·f32(k/b)))`` where b repeats along the innermost dimension, else ``R(f32(f32(a·k)/b))``; saturated.

    0/b = 0, also for b = 0; a/0 is the largest integer for a > 0, the smallest for a < 0. The table over b of int8
    nodes with a single a has the smallest for 0/0.
    """
    a, b = call.arg(0).data.astype(np.float32), call.arg(1).data.astype(np.float32)
    with np.errstate(all="ignore"):
        if call.is_float:
            return [a / b]
        k = quotient_unit(call)
        quotient = rounded(call, a * (k / b) if divisor_repeats(call) else (a * k) / b)
    low, high = qrange(call.bits)
    by_zero = np.where(a > 0, high, low if dividend_table(call) else np.where(a < 0, low, 0))
    return [np.where(b == 0, by_zero, quotient).astype(call.out.dtype.numpy)]


def emit_div(e: Emit) -> None:
    """The same float32 steps. Instead of zero it divides by k·2**-20, so that whatever is not 0 saturates."""
    layout, rank = common_layout(e, (0, 1)), len(broadcast_shape(e.call)[0])
    a, b = operand(e, 0, layout, rank), operand(e, 1, layout, rank)
    if e.call.is_float:
        return e.give(e.op("Div", a, b), layout=layout, rank=rank)
    k, zero = float(quotient_unit(e.call)), e.op("Equal", b, e.scalar(0))
    divisor = e.op("Where", zero, e.scalar(k * 2.0**-20), b)
    if divisor_repeats(e.call):
        quotient = e.op("Mul", a, e.op("Div", e.scalar(k), divisor))
    else:
        quotient = e.op("Div", e.op("Mul", a, e.scalar(k)), divisor)
    if dividend_table(e.call):
        low, high = qrange(8)
        by_zero = e.op("Where", e.op("Greater", a, e.scalar(0)), e.scalar(high), e.scalar(low))
        quotient = e.op("Where", zero, by_zero, quotient)
    return e.give(e.quantized(quotient), layout=layout, rank=rank)


def mod(call: Call) -> Sequence[Array]:
    """``R(f32(fmodf(f32(a·2**e_a), f32(b·2**e_b)) · 2**-e_y))``, 0 where b = 0; the attribute `fmod` is not read."""
    a, b = real(call.arg(0)), real(call.arg(1))
    return [from_real(call, np.where(b == 0, np.float32(0), fmodf(a, b)))]


def emit_mod(e: Emit) -> None:
    """A remainder is exact in float32."""
    layout, rank = common_layout(e, (0, 1)), len(broadcast_shape(e.call)[0])
    a, b = (
        operand(e, i, layout, rank)
        if e.call.is_float
        else e.op("Mul", operand(e, i, layout, rank), e.scalar(2.0 ** e.call.arg(i).exponent))
        for i in (0, 1)
    )
    result = e.op("Where", e.op("Equal", b, e.scalar(0)), e.scalar(0), e.op("Mod", a, b, fmod=1))
    if not e.call.is_float:
        result = e.quantized(e.op("Mul", result, e.scalar(2.0**-e.call.out.exponent)))
    e.give(result, layout=layout, rank=rank)


def pow_(call: Call) -> Sequence[Array]:
    """``R(f32(powf(f32(a·2**e_a), f32(b·2**e_b)) · 2**-e_y))``."""
    return [from_real(call, powf(*np.broadcast_arrays(real(call.arg(0)), real(call.arg(1)))))]


def emit_pow(e: Emit) -> None:
    """A table where one operand is a constant number."""
    varying = [i for i in (0, 1) if not (e.is_const(i) and e.call.arg(i).data.size == 1)]
    if e.call.is_float or len(varying) > 1:
        raise NotExpressible("ONNX Runtime's powf rounds differently")
    emit_by_table(e, pow_, varying[0] if varying else 0)


@constraint
def float_remainder(node: FloatNode, target: Target) -> bool:
    """The runtime takes the remainder with the sign of the dividend; export the node with fmod=1."""
    return node.integer("fmod", 0) == 1


def sign_of_the_dividend(call: Call) -> str | None:
    """The runtime does not read `fmod`."""
    if call.attr("fmod", 0) == 1:
        return None
    return "the runtime takes the remainder with the sign of the dividend, whatever fmod says: export it with fmod=1."


MOD_SINCE = Version(3, 3, 0)
OPERATORS = tuple(
    Operator(
        name,
        compute,
        emit,
        shape=broadcast_shape,
        since=since,
        ports=free_operands,
        layout=elementwise,
        constraints=(few_dimensions, *limits),
        rules=(merged_dimensions_rule, *rules),
        cost=element_cost,
        passage=passage,
        reuse=reuse,
        work=work,
    )
    for name, compute, emit, since, limits, rules, passage, reuse, work in (
        ("Div", div, emit_div, OLDEST, (), (), lambda node: Passage.QUOTIENT, Reuse.NONE, in_float),
        ("Mod", mod, emit_mod, MOD_SINCE, (float_remainder,), (sign_of_the_dividend,), stops, Reuse.DIRTY, in_float),
        ("Pow", pow_, emit_pow, Version(3, 2, 4), (), (), stops, Reuse.NONE, functions),
    )
)
