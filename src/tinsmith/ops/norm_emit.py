"""RMSNormalization and LpNormalization as nodes of the compiled graph, float32 step by float32 step.

Roots are taken in float64 and rounded once, which gives sqrtf of every float32 number; ONNX Runtime's own float32 Sqrt
may be an approximation, as may its Reciprocal. It also turns ``Mul(x, Div(1, d))`` into ``Div(x, d)``, which rounds
once less; so reciprocals are written as 2 / d here, and the 2 goes into the power of two that follows.
"""

from __future__ import annotations

import math

import numpy as np

from tinsmith.ops.call import Call
from tinsmith.ops.emit import FLOAT32, FLOAT64, Emit, NotExpressible
from tinsmith.ops.movers import axis_in, axis_of
from tinsmith.ops.places import common_layout, placed_shape
from tinsmith.program import DType

_SINGLE, _DOUBLE = 1 << 24, 1 << 53
_LARGEST_EXPONENT = 40


def _integers_only(call: Call) -> int:
    """The largest magnitude of an input element."""
    if not (DType.of(call.arg(0).data.dtype).quantized and call.out.dtype.quantized):
        raise NotExpressible("ONNX Runtime adds floats in an order of its own")
    if max(abs(call.arg(0).exponent), abs(call.out.exponent)) > _LARGEST_EXPONENT:
        raise NotExpressible("exponents beyond float32")
    return 1 << (8 * call.arg(0).data.dtype.itemsize - 1)


def _root(emit: Emit, tensor: str) -> str:
    """Sqrtf."""
    return str(emit.op("Cast", emit.op("Sqrt", emit.op("Cast", tensor, to=FLOAT64)), to=FLOAT32))


def _squares(emit: Emit, x: str, axes: list[int], bound: int) -> str:
    """f32(Σx²), the sum exact."""
    if bound >= _DOUBLE:
        raise NotExpressible("the sum of squares may be too large for float64")
    wide = bound > _SINGLE
    tensor = emit.op("Cast", x, to=FLOAT64) if wide else x
    total = emit.op("ReduceSum", emit.op("Mul", tensor, tensor), emit.constant(axes, np.int64), keepdims=1)
    return str(emit.op("Cast", total, to=FLOAT32) if wide else total)


def emit_rms(emit: Emit) -> None:
    """RMSNormalization; see its compute."""
    call = emit.call
    largest, shape, source = _integers_only(call), call.arg(0).data.shape, call.arg(0)
    axis = axis_of(call, call.attr("axis", -1), len(shape))
    length = math.prod(shape[axis:])
    weight = call.arg(1).data
    if not emit.is_const(1) or weight.dtype != np.float32 or weight.size != length:
        raise NotExpressible("a weight that is not a constant of floats")
    x = emit.x(0)
    total = _squares(emit, x, list(range(axis, len(shape))), length * largest * largest)
    mean = emit.op("Div", emit.op("Mul", total, emit.scalar(2.0 ** (2 * source.exponent))), emit.scalar(length))
    root = _root(emit, emit.op("Add", mean, emit.scalar(call.attr("epsilon", 1e-5))))
    twice = emit.op("Div", emit.scalar(2), root)
    factor = emit.op("Mul", twice, emit.scalar(2.0 ** (source.exponent - call.out.exponent - 1)))
    y = emit.op("Mul", emit.op("Mul", x, factor), emit.constant(weight.reshape(shape[axis:])))
    emit.give(emit.quantized(y))


def emit_lp(emit: Emit) -> None:
    """LpNormalization; see its compute.

    A sum of zero means a row of zeros, so dividing by one instead changes nothing.
    """
    call, layout = emit.call, common_layout(emit)
    largest, shape = _integers_only(call), placed_shape(emit, 0, layout)
    given = axis_of(call, call.attr("axis", -1), len(shape))
    axis = axis_in(layout, given, len(shape))
    length, x = shape[axis], emit.x(0, layout)
    if call.attr("p", 2) == 1:
        if length * largest > _SINGLE:
            raise NotExpressible("the sum may be too large for float32")
        total = emit.op("ReduceSum", emit.op("Abs", x), emit.constant([axis], np.int64), keepdims=1)
        divisor = emit.op("Max", total, emit.scalar(1))
    else:
        total = _squares(emit, x, [axis], length * largest * largest)
        divisor = _root(emit, emit.op("Max", total, emit.scalar(1)))
    twice, unit = emit.op("Div", emit.scalar(2), divisor), emit.scalar(2.0 ** (-call.out.exponent - 1))
    if given == len(shape) - 1:
        y = emit.op("Mul", x, emit.op("Mul", twice, unit))
    else:
        y = emit.op("Mul", emit.op("Mul", x, twice), unit)
    emit.give(emit.quantized(y), layout=layout)
