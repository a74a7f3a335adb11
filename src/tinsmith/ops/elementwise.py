"""Add, Sub and Mul (arithmetic §3.2, §3.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tinsmith.ops.base import Operator, Reuse
from tinsmith.ops.broadcast import (
    broadcast_shape,
    element_cost,
    few_dimensions,
    innermost,
    merged_dimensions_rule,
)
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import FLOAT32, FLOAT64, Emit
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import elementwise
from tinsmith.ops.passage import Passage
from tinsmith.ops.places import common_layout, operand
from tinsmith.ops.ports import ACTIVATION, Ports
from tinsmith.ops.values import power, rounded, saturated, shifted
from tinsmith.ops.work import Slow, Work, Working, in_float, sized
from tinsmith.targets import Target


def add(call: Call) -> Sequence[Array]:
    """``sat(a + b)``; exponents are never read."""
    a, b = call.arg(0).data, call.arg(1).data
    with np.errstate(all="ignore"):
        return [a + b if call.is_float else saturated(call, a.astype(np.int64) + b)]


def sub(call: Call) -> Sequence[Array]:
    """``sat(a - b)``; exponents are never read."""
    a, b = call.arg(0).data, call.arg(1).data
    with np.errstate(all="ignore"):
        return [a - b if call.is_float else saturated(call, a.astype(np.int64) - b)]


def mul_shift(call: Call) -> int:
    """The right shift: e_out - e_a - e_b."""
    return call.out.exponent - call.arg(0).exponent - call.arg(1).exponent


def mul_in_integers(call: Call) -> bool:
    """Whether the vector kernel runs: its target has one, and the innermost merged dimension fills a vector."""
    minimum = call.target.vector_minimum
    return minimum is not None and innermost(call).length >= minimum[call.bits]


def mul(call: Call) -> Sequence[Array]:
    """``sat(rshift(a·b, s))`` where the vector kernel runs, else ``sat(R(f32(f32(a·b)·2**-s)))``."""
    a, b = call.arg(0).data, call.arg(1).data
    if call.is_float:
        with np.errstate(all="ignore"):
            return [a * b]
    product = a.astype(np.int64) * b
    if mul_in_integers(call):
        return [shifted(call, product, mul_shift(call))]
    return [rounded(call, product.astype(np.float32) * power(-mul_shift(call)))]


def emit_sum(op_type: str) -> Callable[[Emit], None]:
    """Add or Sub: sums of two 16-bit integers are exact in float32."""

    def emit(e: Emit) -> None:
        layout, rank = common_layout(e, (0, 1)), len(broadcast_shape(e.call)[0])
        total = e.op(op_type, operand(e, 0, layout, rank), operand(e, 1, layout, rank))
        e.give(total if e.call.is_float else e.clipped(total, e.call.bits), layout=layout, rank=rank)

    return emit


def emit_mul(e: Emit) -> None:
    """Products of 8-bit integers are exact in float32; 16-bit ones are so in float64, which the integer path takes.

    The float path is float32 multiplication itself, rounded once, and an exact scaling by a power of two.
    """
    layout, rank = common_layout(e, (0, 1)), len(broadcast_shape(e.call)[0])
    a, b = operand(e, 0, layout, rank), operand(e, 1, layout, rank)
    if e.call.is_float:
        return e.give(e.op("Mul", a, b), layout=layout, rank=rank)
    wide = e.call.bits == 16 and mul_in_integers(e.call)
    if wide:
        a, b = e.op("Cast", a, to=FLOAT64), e.op("Cast", b, to=FLOAT64)
    shift = mul_shift(e.call)
    scale = e.constant(2.0**-shift, np.float64 if wide else np.float32)
    if shift != 0 and e.is_const(1):  # ONNX Runtime folds the two constants
        b = e.op("Mul", b, scale)
    product = e.op("Mul", a, b)
    if shift != 0 and not e.is_const(1):
        product = e.op("Mul", product, scale)
    if wide:
        product = e.rounded(product, wide=True) if shift != 0 else product
        result = e.op("Cast", e.clipped(product, e.call.bits, wide=True), to=FLOAT32)
    else:
        result = e.quantized(product) if shift != 0 else e.clipped(product, e.call.bits)
    return e.give(result, layout=layout, rank=rank)


def product_work(call: Call, shapes: Sequence[tuple[int, ...]]) -> Work:
    """Vectors where the vector kernel runs, else float32 arithmetic."""
    if not call.is_float and mul_in_integers(call):
        return sized(call, shapes)
    work = in_float(call, shapes)
    minimum = call.target.vector_minimum
    if call.is_float or minimum is None:
        return work
    slow = Slow(
        f"its innermost dimension has {innermost(call).length} elements, too few for a vector, so it multiplies in "
        "float32.",
        "Bring a dimension of at least a vector (16 elements in int8, 8 in int16) to the end, on both sides.",
        sized(call, shapes),
    )
    return replace(work, slow=slow)


def sum_ports(node: FloatNode, target: Target) -> Ports:
    """Raw integers are added: both operands must arrive with the output's exponent."""
    return Ports((ACTIVATION, ACTIVATION), (ACTIVATION,), tied=(0, 1))


def product_ports(node: FloatNode, target: Target) -> Ports:
    """The kernel shifts right only: e_out ≥ e_a + e_b."""
    return Ports((ACTIVATION, ACTIVATION), (ACTIVATION,), product=(0, 1))


def equal_exponents(call: Call) -> str | None:
    """The kernels of Add and Sub read no exponents."""
    exponents = [call.arg(0).exponent, call.arg(1).exponent, call.out.exponent]
    if call.is_float or len(set(exponents)) == 1:
        return None
    return (
        f"the exponents {exponents} of its operands and output differ, and the kernel reads none of them. "
        "Requantize those that differ."
    )


def right_shift(call: Call) -> str | None:
    """A negative shift crashes the ESP32-S3 and gives garbage on the ESP32-P4."""
    shift = mul_shift(call)
    if call.is_float or 0 <= shift <= call.target.max_shift:
        return None
    return (
        f"it shifts right by {shift} bits; only 0 … {call.target.max_shift} are possible. Change its output's exponent."
    )


def _binary(
    name: str,
    compute: Callable[[Call], Sequence[Array]],
    emit: Callable[[Emit], None],
    ports: Callable[[FloatNode, Target], Ports],
    rule: Callable[[Call], str | None],
    factors: Passage,
    reuse: Reuse,
    work: Working = sized,
) -> Operator:
    return Operator(
        name,
        compute,
        emit,
        shape=broadcast_shape,
        ports=ports,
        layout=elementwise,
        constraints=(few_dimensions,),
        rules=(rule, merged_dimensions_rule),
        cost=element_cost,
        passage=lambda node: factors,
        reuse=reuse,
        work=work,
    )


OPERATORS = (
    _binary("Add", add, emit_sum("Add"), sum_ports, equal_exponents, Passage.SUMS, Reuse.DIRTY),
    _binary("Sub", sub, emit_sum("Sub"), sum_ports, equal_exponents, Passage.SUMS, Reuse.NONE),
    _binary("Mul", mul, emit_mul, product_ports, right_shift, Passage.PRODUCT, Reuse.NONE, product_work),
)
