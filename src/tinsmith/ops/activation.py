"""Activations: Relu, LeakyRelu, Clip, Elu, Sigmoid, Tanh, HardSigmoid, HardSwish, Swish (arithmetic §4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tinsmith.errors import QuantizationError
from tinsmith.ops.base import constraint
from tinsmith.ops.call import Arg, Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatmath import Float32, Float64, expf, sigmoid, tanh
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.lowering import PLAIN, Lowering, unary_table
from tinsmith.ops.passage import Passage, Weighted, keeps
from tinsmith.ops.places import common_layout
from tinsmith.ops.steps import upper_bound
from tinsmith.ops.tables import emit_unary
from tinsmith.ops.unary import by_function, by_table_or, unary
from tinsmith.ops.values import from_real, real, saturated
from tinsmith.ops.work import GONE, Slow, Work, in_float, one_by_one, sized, table_or
from tinsmith.program import DType
from tinsmith.targets import Target


def _alpha(call: Call, default: float) -> np.float32:
    return np.float32(call.attr("alpha", default))


def relu(call: Call) -> Sequence[Array]:
    """Equal exponents: integer max(x, 0). Else x' >= 0: R(f32(x' · 2**-e_y)), below 0: 0."""
    x = call.arg(0)
    if not call.is_float and x.exponent == call.out.exponent:
        return [saturated(call, np.maximum(x.data, 0))]
    values = real(x)
    return [from_real(call, np.where(values >= 0, values, np.float32(0)))]


def relu_work(call: Call, shapes: Sequence[tuple[int, ...]]) -> Work:
    """Vectors where the exponents agree, else float32 arithmetic."""
    return (sized if call.arg(0).exponent == call.out.exponent else in_float)(call, shapes)


def emit_relu(e: Emit) -> None:
    """The integers by the table of all inputs; floats without NaN, as the comparison makes it."""
    if not e.call.is_float:
        return emit_unary(RELU.compute)(e)
    layout = common_layout(e)
    x, zero = e.x(0, layout), e.scalar(0)
    return e.give(e.op("Where", e.op("GreaterOrEqual", x, zero), x, zero), layout=layout)


def clip(call: Call) -> Sequence[Array]:
    """Integer clip by the first elements of min and max, then ``R(f32(c · f32(2**e_x · 2**-e_y)))``.

    An absent bound does not bind. ``max`` wins over a larger ``min``.
    """
    x, low, high = call.arg(0), call.optional(1), call.optional(2)
    clipped = x.data
    if low is not None:
        clipped = np.maximum(clipped, low.data.reshape(-1)[0])
    if high is not None:
        clipped = np.minimum(clipped, high.data.reshape(-1)[0])
    return [from_real(call, real(Arg(clipped, x.exponents)))]


def _clip_meant(node: FloatNode, x: Float64) -> Float64:
    low, high = _bounds(node)
    return np.minimum(np.maximum(x, low), high)


def _bounds(node: FloatNode) -> tuple[float, float]:
    """The real limits of a Clip; infinite where absent."""
    low, high = node.const(1), node.const(2)
    return (
        -np.inf if low is None else float(low.reshape(-1)[0]),
        np.inf if high is None else float(high.reshape(-1)[0]),
    )


def lower_clip(call: Lowering) -> None:
    """x, min and max as integers in x's exponent; in int8 also the table, which is what the runtime then uses."""
    source, result = call.slot(0).format, call.outputs[0].format
    limits = [np.asarray(bound, dtype=np.float32) for bound in _bounds(call.node)]
    if source is not None:
        limits = [source.quantize(bound, call.target.rounding) for bound in limits]
    exponents = (0,) if source is None else source.exponents
    names = [call.name(0)]
    for bound, suffix, index in zip(limits, ("min", "max"), (1, 2), strict=True):
        name = call.node.input(index).name if call.node.has(index) else f"{call.node.name}_{suffix}"
        names.append(call.sink.add_constant(name, bound, exponents, PLAIN))
    if call.quant_type != "S8":
        return call.emit(names)
    if source is None or result is None:
        raise QuantizationError("an int8 Clip needs a format on both sides.", subject=f"Clip {call.node.name!r}")
    table = unary_table(lambda x: _clip_meant(call.node, x), source, result, call.target)
    return call.emit(names, attributes={"lut": call.sink.add_table("Clip", table, result.exponents)})


@constraint
def constant_bounds(node: FloatNode, target: Target) -> bool:
    """Its limits are computed at run time, and the chip needs them in the file; give min and max as constants."""
    return all(not node.has(i) or (node.const(i) is not None and node.input(i).shape in ((), (1,))) for i in (1, 2))


@constraint
def ordered_bounds(node: FloatNode, target: Target) -> bool:
    """Its min is larger than its max; swap them."""
    low, high = _bounds(node)
    return low <= high


@constraint
def swish_without_alpha(node: FloatNode, target: Target) -> bool:
    """The runtime computes x · Sigmoid(x) and ignores `alpha`; write it as Mul(x, Sigmoid(Mul(alpha, x)))."""
    return node.real("alpha", 1.0) == 1.0


def _elu(call: Call, x: Float32) -> Float32:
    below: Float32 = _alpha(call, 1.0) * (expf(x) - np.float32(1))
    return np.where(x >= 0, x, below)


def _leaky_relu(call: Call, x: Float32) -> Float32:
    """The runtime scales by 2**-e_y first and by alpha last: the same, since a power of two changes no rounding."""
    below: Float32 = x * _alpha(call, 0.01)
    return np.where(x >= 0, x, below)


def _hard_sigmoid(call: Call, x: Float32) -> Float32:
    line: Float32 = _alpha(call, 0.2) * x + np.float32(call.attr("beta", 0.5))
    return np.maximum(np.float32(0), np.minimum(np.float32(1), line))


def _hard_swish(call: Call, x: Float32) -> Float32:
    """All steps in double, with 0.166667 for 1/6, rounded once at the end."""
    wide = x.astype(np.float64)
    gate = np.maximum(0.0, np.minimum(1.0, 0.166667 * wide + 0.5))
    return (gate * wide).astype(np.float32)


def _sigmoid_meant(x: Float64) -> Float64:
    with np.errstate(over="ignore"):
        result: Float64 = 1.0 / (1.0 + np.exp(-x))
    return result


def _elu_meant(node: FloatNode, x: Float64) -> Float64:
    return np.where(x >= 0, x, node.real("alpha", 1.0) * np.expm1(np.minimum(x, 0)))


def _hard_sigmoid_meant(node: FloatNode, x: Float64) -> Float64:
    return np.clip(node.real("alpha", 0.2) * x + node.real("beta", 0.5), 0, 1)


def clip_passage(node: FloatNode) -> Passage | Weighted:
    """Factors pass a Clip from zero, as long as its ceiling allows (whoever chooses them sees to that)."""
    return Passage.STOPS if upper_bound(node) is None else Passage.KEEPS


def clip_work(call: Call, shapes: Sequence[tuple[int, ...]]) -> Work:
    """A table, or comparisons; a node of its own that a Relu would not be."""
    work = table_or(in_float if call.is_float else one_by_one)(call, shapes)
    table = call.table
    if table is None or call.out.dtype is not DType.INT8 or table.reshape(-1)[:128].any():
        return work
    slow = Slow(
        f"its upper bound keeps it apart from the layer before: {work.steps:,} look-ups, one at a time.",
        "Use Relu instead of ReLU6, or an exponent whose largest number is at most the bound: then it is part of the "
        "layer before and takes no time.",
        GONE,
    )
    return replace(work, slow=slow)


RELU = unary(
    "Relu",
    by_table_or(relu),
    lambda node, x: np.maximum(x, 0),
    emit=emit_relu,
    tied=True,
    passage=keeps,
    work=table_or(relu_work),
)

OPERATORS = (
    RELU,
    unary(
        "LeakyRelu",
        by_function(_leaky_relu),
        lambda node, x: np.where(x >= 0, x, x * node.real("alpha", 0.01)),
        tied=True,
        passage=keeps,
        work=table_or(in_float),
    ),
    unary(
        "Clip",
        by_table_or(clip),
        _clip_meant,
        tied=True,
        lower=lower_clip,
        constraints=(constant_bounds, ordered_bounds),
        passage=clip_passage,
        work=clip_work,
    ),
    unary("Elu", by_function(_elu), _elu_meant),
    unary("Sigmoid", by_function(lambda call, x: sigmoid(x)), lambda node, x: _sigmoid_meant(x)),
    unary("Tanh", by_function(lambda call, x: tanh(x)), lambda node, x: np.tanh(x)),
    unary("HardSigmoid", by_function(_hard_sigmoid), _hard_sigmoid_meant, work=table_or(in_float)),
    unary("HardSwish", by_function(_hard_swish), lambda node, x: x * np.clip(x / 6 + 0.5, 0, 1)),
    unary(
        "Swish",
        by_function(lambda call, x: sigmoid(x) * x),
        lambda node, x: x * _sigmoid_meant(x),
        constraints=(swish_without_alpha,),
    ),
)
