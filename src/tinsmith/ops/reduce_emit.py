"""Reductions as nodes of the compiled graph.

Sums of integers are exact in float32 while their bound stays below 2^24, whatever order ONNX Runtime adds in, and in
float64 below 2^53.
"""

from __future__ import annotations

import math

import numpy as np

from tinsmith.ops.call import Call
from tinsmith.ops.emit import FLOAT32, FLOAT64, Emit, Layout, NotExpressible
from tinsmith.ops.movers import axis_in
from tinsmith.ops.places import common_layout
from tinsmith.ops.reduce_axes import reduced_axes, reduced_shape
from tinsmith.program import DType

_SINGLE, _DOUBLE = 24, 53
_LARGEST_SCALE = 40


def _integers_only(call: Call) -> None:
    source = DType.of(call.arg(0).data.dtype)
    if not (source.quantized and call.out.dtype.quantized) or reduced_count(call) == 0:
        raise NotExpressible("ONNX Runtime adds floats in an order of its own")


def reduced_count(call: Call) -> int:
    """How many elements meet."""
    return math.prod(call.arg(0).data.shape[axis] for axis in reduced_axes(call))


def _layout(emit: Emit) -> Layout:
    """The layout to reduce in: the one the input has, unless the dimensions left would come out in another order."""
    layout, axes, rank = common_layout(emit), reduced_axes(emit.call), emit.call.arg(0).data.ndim
    if layout == "first" and not emit.call.attr("keepdims", 1):
        kept = [axis for axis in (0, rank - 1, *range(1, rank - 1)) if axis not in axes]
        return "first" if kept == sorted(kept) else "file"
    return layout


def _reduced(emit: Emit, op_type: str, tensor: str, layout: Layout) -> str:
    call = emit.call
    axes = [axis_in(layout, axis, call.arg(0).data.ndim) for axis in reduced_axes(call)]
    return str(emit.op(op_type, tensor, emit.constant(axes, np.int64), keepdims=int(call.attr("keepdims", 1) != 0)))


def _give(emit: Emit, tensor: str, layout: Layout) -> None:
    call = emit.call
    (shape,) = reduced_shape(call)
    if call.attr("keepdims", 1):
        emit.give(tensor, layout=layout)
    elif len(reduced_axes(call)) == call.arg(0).data.ndim:
        emit.give(emit.op("Reshape", tensor, emit.constant([1], np.int64)), rank=1)
    else:
        emit.give(tensor, rank=len(shape))


def emit_extreme(emit: Emit, op_type: str) -> None:
    """ReduceMax, ReduceMin."""
    _integers_only(emit.call)
    layout = _layout(emit)
    _give(emit, _reduced(emit, op_type, emit.x(0, layout), layout), layout)


def _summed(emit: Emit, power_of_x: int, magnitude: bool, layout: Layout, *, wide: bool) -> str:
    """Σx, Σ|x| or Σx², exact in float32, or in float64 where ``wide``."""
    tensor = emit.x(0, layout)
    if wide:
        tensor = emit.op("Cast", tensor, to=FLOAT64)
    if magnitude:
        tensor = emit.op("Abs", tensor)
    if power_of_x == 2:
        tensor = emit.op("Mul", tensor, tensor)
    return _reduced(emit, "ReduceSum", tensor, layout)


def _bound(call: Call, power_of_x: int) -> int:
    """The largest |Σ| there can be."""
    largest = 1 << (8 * call.arg(0).data.dtype.itemsize - 1)
    bound: int = reduced_count(call) * largest**power_of_x
    if bound >= 1 << _DOUBLE:
        raise NotExpressible("the sum may be too large for float64")
    return bound


def emit_total(emit: Emit, power_of_x: int, *, magnitude: bool = False) -> None:
    """ReduceSum, ReduceL1, ReduceSumSquare: sat(rshift(Σ, s)).

    The rounding adds half of 2^s to the clipped sum; that must be exact, too.
    """
    call = emit.call
    _integers_only(call)
    bound, shift = _bound(call, power_of_x), call.out.exponent - power_of_x * call.arg(0).exponent
    if power_of_x == 2 and call.arg(0).data.dtype == np.int8 and bound >= 1 << 31:
        raise NotExpressible("the runtime's 32-bit accumulator may wrap")
    if abs(shift) > _LARGEST_SCALE:
        raise NotExpressible(f"a shift by {shift}")
    reach = bound if shift <= 0 else max(bound, min(bound, 1 << (call.bits - 1 + shift)) + (1 << (shift - 1)))
    if reach > 1 << _DOUBLE:
        raise NotExpressible(f"a shift by {shift}")
    wide = reach > 1 << _SINGLE
    layout = _layout(emit)
    total = _summed(emit, power_of_x, magnitude, layout, wide=wide)
    if shift:
        total = emit.op("Mul", total, emit.constant(2.0**-shift, np.float64 if wide else np.float32))
    y = emit.clipped(total, call.bits, wide=wide)
    y = emit.rounded(y, wide=wide) if shift > 0 else y
    _give(emit, emit.op("Cast", y, to=FLOAT32) if wide else y, layout)


def emit_mean(emit: Emit) -> None:
    """ReduceMean: the float32 steps of the kernel; its two exact scalings by powers of two are one here."""
    call = emit.call
    _integers_only(call)
    if max(abs(call.arg(0).exponent), abs(call.out.exponent)) > _LARGEST_SCALE:
        raise NotExpressible("exponents beyond float32")
    wide = _bound(call, 1) > 1 << _SINGLE
    layout = _layout(emit)
    total = _summed(emit, 1, False, layout, wide=wide)
    if wide:
        total = emit.op("Cast", total, to=FLOAT32)
    mean = emit.op("Div", total, emit.scalar(reduced_count(call)))
    if call.arg(0).exponent != call.out.exponent:
        mean = emit.op("Mul", mean, emit.scalar(2.0 ** (call.arg(0).exponent - call.out.exponent)))
    _give(emit, emit.quantized(mean), layout)
