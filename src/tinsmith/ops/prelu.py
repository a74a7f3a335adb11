"""PRelu with a slope per channel, in the kernel the chip has for it (arithmetic §4.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinsmith.errors import QuantizationError
from tinsmith.ops.base import Operator, constraint
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import FLOAT32, FLOAT64, Emit, NotExpressible
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import Perm, channels_last, identity
from tinsmith.ops.lowering import PLAIN, Lowering, layout_doc, unary_table
from tinsmith.ops.passage import keeps
from tinsmith.ops.places import common_layout
from tinsmith.ops.ports import ACTIVATION, Ports
from tinsmith.ops.tables import emit_unary
from tinsmith.ops.unary import by_table_or, element_cost, same_shape
from tinsmith.ops.values import saturated
from tinsmith.ops.work import Work, in_float, one_by_one, sized, table_or
from tinsmith.program import Attribute
from tinsmith.quant.rounding import wrap
from tinsmith.targets import PReluStyle, Target

VECTOR = (PReluStyle.VECTOR_SATURATING, PReluStyle.VECTOR_WRAPPING)
WITH_VECTORS = (*VECTOR, PReluStyle.FLOOR_WRAPPING)
WRAPPING = (PReluStyle.VECTOR_WRAPPING, PReluStyle.FLOOR_WRAPPING)


def slopes(call: Call) -> Array:
    """One slope per channel; channels are the input's last dimension."""
    return np.asarray(call.arg(1).data.reshape(-1))


def _shifts(call: Call) -> tuple[int, int]:
    """Right shifts above and below zero: e_out - e_in, and e_out - e_in - e_alpha."""
    above = call.out.exponent - call.arg(0).exponent
    return above, above - call.arg(1).exponent


def prelu(call: Call) -> Sequence[Array]:
    """Above zero ``rshift(x, e_out - e_in)`` in vector kernels, a copy in the others.

    Below ``x·alpha / 2**(e_out - e_in - e_alpha)``, rounded by vector kernels, floored by the others; it saturates or
    wraps as the target's `PReluStyle` says.
    """
    x = call.arg(0).data
    if call.is_float:
        with np.errstate(all="ignore"):
            return [np.where(x < 0, x * slopes(call), x)]
    style, (shift, shift_below) = call.target.prelu[call.bits], _shifts(call)
    wide, rounding = x.astype(np.int64), call.target.rounding
    product = wide * slopes(call)
    if style in VECTOR:
        above, below = rounding.rshift(wide, shift), rounding.rshift(product, shift_below)
    else:
        above, below = wide, product >> shift_below if shift_below >= 0 else product << -shift_below
    below = wrap(below, call.bits) if style in WRAPPING else below
    return [saturated(call, np.where(wide < 0, below, above))]


def can_wrap(slopes: Array, shift_below: int, bits: int, target: Target) -> bool:
    """Whether this chip's kernel wraps, and the product of a negative input can leave the output's range."""
    if target.prelu[bits] not in WRAPPING:
        return False
    low = -(1 << (bits - 1))
    largest = target.rounding.rshift(slopes.astype(np.int64) * low, shift_below)
    return bool(np.any((largest < low) | (largest >= -low)))


def _emit_wrapped(e: Emit, tensor: str, dtype: type[np.floating[Any]]) -> str:
    """Two's complement: v - 2**bits · floor((v + 2**(bits-1)) / 2**bits), exact on whole numbers."""
    size = 2.0**e.call.bits
    turns = e.op("Floor", e.op("Mul", e.op("Add", tensor, e.constant(size / 2, dtype)), e.constant(1 / size, dtype)))
    return str(e.op("Sub", tensor, e.op("Mul", turns, e.constant(size, dtype))))


def emit_prelu(e: Emit) -> None:
    """By table where the node has one; else by products, exact in float32 (8 bit) and in float64 (16 bit)."""
    if e.call.is_float or not e.is_const(1):
        raise NotExpressible("only quantized slopes that are constants")
    if "lut" in e.call.node.attributes and e.call.bits == 8:
        return emit_unary(OPERATORS[0].compute)(e)
    style, (shift, shift_below) = e.call.target.prelu[e.call.bits], _shifts(e.call)
    vector, wide = style in VECTOR, e.call.bits == 16
    dtype = np.float64 if wide else np.float32
    layout, rank = common_layout(e), e.call.arg(0).data.ndim
    alpha = np.ldexp(slopes(e.call).astype(np.float64), -shift_below)
    alpha = alpha.reshape((-1, *(1,) * (rank - 2))) if layout == "first" else alpha
    x = e.x(0, layout)
    factor = e.constant(alpha, dtype)
    below = e.op("Mul", e.op("Cast", x, to=FLOAT64) if wide else x, factor)
    below = e.rounded(below, wide=wide) if vector else e.op("Floor", below)
    if can_wrap(slopes(e.call), shift_below, e.call.bits, e.call.target):
        below = _emit_wrapped(e, below, dtype)
    below = e.op("Cast", e.clipped(below, 16, wide=True), to=FLOAT32) if wide else below
    above = e.rounded(e.op("Mul", x, e.scalar(2.0**-shift))) if vector and shift else x
    result = e.op("Where", e.op("Less", x, e.scalar(0)), below, above)
    return e.give(e.clipped(result, e.call.bits), layout=layout)


def prelu_ports(node: FloatNode, target: Target) -> Ports:
    """The output keeps the input's exponent: the 16-bit and the generic kernels copy what is above zero."""
    return Ports((ACTIVATION, ACTIVATION), (ACTIVATION,), tied=(0,))


def _padded(node: FloatNode) -> tuple[int, ...]:
    """The slope's shape, ones on the left up to the input's rank."""
    shape = node.input(1).shape
    return (1,) * (node.input(0).rank - len(shape)) + shape


def _slope_axis(node: FloatNode) -> int | None:
    """The one axis along which slopes differ, in the ONNX order; 1 for a single slope; None for anything else."""
    long = [axis for axis, length in enumerate(_padded(node)) if length != 1]
    if not long:
        return min(1, node.input(0).rank - 1)
    return long[0] if len(long) == 1 else None


def prelu_layout(node: FloatNode, available: Sequence[Perm | None]) -> tuple[list[Perm | None], list[Perm]]:
    """The slopes' axis last: channels-last for slopes per channel, the ONNX order for slopes along the last axis."""
    rank = node.input(0).rank
    last = identity(rank) if _slope_axis(node) == rank - 1 else channels_last(rank)
    return [last, identity(node.input(1).rank)], [last]


def lower_prelu(call: Lowering) -> None:
    """One slope per channel: the kernel reads as many. In int8 a single slope is a table besides."""
    slope, source, result = call.slot(1), call.slot(0), call.outputs[0].format
    assert slope.const is not None, "checked by the constraints"
    count, ones = source.shape[-1], (1,) * (len(source.shape) - 2)
    values = np.broadcast_to(slope.const.reshape(-1), (count,)).reshape(count, *ones)
    if slope.format is None:
        return call.emit([call.name(0), call.sink.add_constant(slope.name, values, (0,), PLAIN)])
    attributes: dict[str, Attribute] = {}
    if slope.const.size == 1 and call.quant_type == "S8" and source.format is not None and result is not None:
        alpha = float(slope.const.reshape(-1)[0])

        def meant(x: Array) -> Array:
            return np.where(x < 0, x * alpha, x).astype(np.float32)

        table = unary_table(meant, source.format, result, call.target)
        attributes["lut"] = call.sink.add_table("PRelu", table, result.exponents)
    elif slope.format.exponent > 0:
        raise QuantizationError(
            f"its slopes need exponent {slope.format.exponent}, and the kernel only shifts right.",
            subject=f"PRelu {call.node.name!r}",
            hint="Scale the slopes below 128.",
        )
    integers = slope.format.quantize(values, call.target.rounding)
    if "lut" not in attributes and can_wrap(integers, -slope.format.exponent, call.bits, call.target):
        return _lower_apart(call, integers)
    name = call.sink.add_constant(slope.name, integers, slope.exponents, PLAIN)
    return call.emit([call.name(0), name], attributes=attributes)


def _lower_apart(call: Lowering, integers: Array) -> None:
    """Relu(x) + slope · (x - Relu(x)): what saturates in every step, for kernels that would wrap."""
    source, slope, result = call.slot(0), call.slot(1), call.outputs[0]

    def step(op_type: str, inputs: list[str], suffix: str = "") -> str:
        whole, name = f"{call.node.name}_{suffix}", result.name
        if suffix:
            name = call.sink.add_value(whole, result.dtype, result.shape, result.exponents)
        call.emit(inputs, [name], attributes={}, op_type=op_type, name=whole if suffix else "")
        return name

    row = integers.reshape((1,) * (len(source.shape) - 1) + (-1,))
    factor = call.sink.add_constant(slope.name, row, slope.exponents, layout_doc(source.perm))
    above = step("Relu", [call.name(0)], "above")
    below = step("Sub", [call.name(0), above], "below")
    step("Add", [above, step("Mul", [below, factor], "scaled")])


def prelu_work(call: Call, shapes: Sequence[tuple[int, ...]]) -> Work:
    """Vectors where the chip has such a kernel, else one element at a time."""
    if call.is_float:
        return in_float(call, shapes)
    return (sized if call.target.prelu[call.bits] in WITH_VECTORS else one_by_one)(call, shapes)


@constraint
def constant_slopes(node: FloatNode, target: Target) -> bool:
    """Its slopes are computed at run time, and the chip needs them in the file; give them as constants."""
    return node.const(1) is not None


@constraint
def slopes_along_one_axis(node: FloatNode, target: Target) -> bool:
    """The runtime has one slope per channel; write it as Relu(x) - slope · Relu(-x) for slopes of another shape."""
    axis, rank = _slope_axis(node), node.input(0).rank
    if axis is None or axis not in (1, rank - 1):
        return False
    return _padded(node)[axis] in (1, node.input(0).shape[axis])


def one_exponent(call: Call) -> str | None:
    """Kernels that copy the positive half read no exponent for it."""
    if call.is_float or call.node.attributes.get("lut") is not None:
        return None
    shift, shift_below = _shifts(call)
    if shift_below < 0:
        return f"it shifts the products right by {shift_below} bits, which is impossible."
    if call.target.prelu[call.bits] not in VECTOR and shift != 0:
        return f"its output's exponent is {shift} away from its input's, and the kernel copies what is above zero."
    return None


OPERATORS = (
    Operator(
        "PRelu",
        by_table_or(prelu),
        emit_prelu,
        shape=same_shape,
        ports=prelu_ports,
        layout=prelu_layout,
        lower=lower_prelu,
        constraints=(constant_slopes, slopes_along_one_axis),
        rules=(one_exponent,),
        cost=element_cost,
        passage=keeps,
        work=table_or(prelu_work),
    ),
)
