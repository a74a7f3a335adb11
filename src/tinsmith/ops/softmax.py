"""Softmax and LogSoftmax: float output from integers or floats (arithmetic §8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tinsmith.ops.base import Cost, Operator, Reuse, Shape
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit, NotExpressible
from tinsmith.ops.floatmath import Float32, expf, logf
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import passive
from tinsmith.ops.lowering import lower_with_axis
from tinsmith.ops.movers import axis_in, axis_of
from tinsmith.ops.places import common_layout, placed_shape
from tinsmith.ops.ports import ACTIVATION, FLOAT, Ports
from tinsmith.ops.tables import gathered
from tinsmith.ops.values import power, real
from tinsmith.ops.work import Slow, Work, functions, in_float
from tinsmith.targets import Target, Version

LARGEST_EXPONENT = -1
"""expf(127 · 2^e) stays finite up to here, and int8 has no maximum subtracted."""

_FAR_EXPONENT = 60


def _axis(call: Call) -> int:
    return axis_of(call, call.attr("axis", -1), call.arg(0).data.ndim)


def running_sum(terms: Float32, axis: int) -> Float32:
    """Σ along ``axis`` in float32, one term after the other; the axis stays with length 1."""
    with np.errstate(all="ignore"):
        sums: Float32 = np.add.accumulate(terms, axis=axis, dtype=np.float32)
    return np.take(sums, [-1], axis=axis)


def _shifted(call: Call, axis: int) -> Float32:
    """Real numbers; beyond int8, less the largest of each row."""
    with np.errstate(all="ignore"):
        x = real(call.arg(0))
        if call.arg(0).data.dtype == np.int8 or not x.size:
            return x
        lowered: Float32 = x - x.max(axis=axis, keepdims=True)
    return lowered


def _softmax(call: Call) -> Sequence[Array]:
    """f32(E / ΣE) with E = expf(x')."""
    axis = _axis(call)
    powers = expf(_shifted(call, axis))
    with np.errstate(all="ignore"):
        return [powers / running_sum(powers, axis)]


def _log_softmax(call: Call) -> Sequence[Array]:
    """f32(x' - logf(Σ expf(x')))."""
    axis = _axis(call)
    x = _shifted(call, axis)
    with np.errstate(all="ignore"):
        return [x - logf(running_sum(expf(x), axis))]


def _same_shape(call: Call) -> Sequence[Shape]:
    _axis(call)
    return [call.arg(0).data.shape]


def _emit_softmax(emit: Emit) -> None:
    """Powers by look-up, their sum by CumSum, which ONNX Runtime computes one term after the other in float32.

    Beyond int8 the look-up is over x - max, a whole number from -65535 to 0: float32 holds its real value exactly.
    """
    call, layout = emit.call, common_layout(emit)
    source, shape = call.arg(0), placed_shape(emit, 0, layout)
    if abs(source.exponent) > _FAR_EXPONENT:
        raise NotExpressible(f"an exponent of {source.exponent}")
    axis = axis_in(layout, _axis(call), len(shape))
    x = emit.x(0, layout)
    match source.data.dtype:
        case np.int8:
            table = expf(np.arange(-128, 128, dtype=np.float32) * power(source.exponent))
        case np.int16:
            x = emit.op("Sub", x, emit.op("ReduceMax", x, emit.constant([axis], np.int64), keepdims=1))
            fallen = expf(np.arange(0, -65536, -1).astype(np.float32) * power(source.exponent))
            table = np.roll(fallen[-np.arange(65536)], 32768)
        case other:
            raise NotExpressible(f"Softmax of {other}: ONNX Runtime's Exp rounds differently")
    powers = gathered(emit, x, table, shape)
    sums = emit.op("CumSum", powers, emit.constant(axis, np.int64))
    last = emit.op("Slice", sums, *(emit.constant([v], np.int64) for v in (-1, np.iinfo(np.int64).max, axis)))
    emit.give(emit.op("Div", powers, last), layout=layout)


def _finite(call: Call) -> str | None:
    source = call.arg(0)
    if source.data.dtype == np.int8 and source.exponent > LARGEST_EXPONENT:
        return (
            f"the input's exponent {source.exponent} is above {LARGEST_EXPONENT}: int8 has no maximum subtracted, and "
            "its exponentials overflow. Run it in int16, or scale its input."
        )
    return None


def _ports(node: FloatNode, target: Target) -> Ports:
    """Any format in, float out; the input's exponent is bounded because int8 has no maximum subtracted."""
    return Ports((ACTIVATION,), (FLOAT,), largest_input_exponent=LARGEST_EXPONENT)


def _cost(node: FloatNode) -> Cost:
    return Cost(0, "softmax")


def softmax_work(call: Call, shapes: Sequence[tuple[int, ...]]) -> Work:
    """int8: exponentials from a table; else one for each element."""
    looked_up, dtype = in_float(call, shapes), call.arg(0).data.dtype
    if dtype == np.int8:
        return looked_up
    work = functions(call, shapes)
    if dtype != np.int16:
        return work
    reason = f"the exponentials of {work.steps:,} int16 elements are computed one at a time, without a table."
    return replace(work, slow=Slow(reason, "Let it run in int8, where exponentials are looked up.", looked_up))


OPERATORS = (
    Operator(
        "Softmax",
        _softmax,
        emit=_emit_softmax,
        shape=_same_shape,
        ports=_ports,
        layout=passive,
        lower=lower_with_axis,
        rules=(_finite,),
        cost=_cost,
        reuse=Reuse.NONE,
        work=softmax_work,
    ),
    Operator(
        "LogSoftmax",
        _log_softmax,
        shape=_same_shape,
        since=Version(3, 3, 0),
        ports=_ports,
        layout=passive,
        lower=lower_with_axis,
        rules=(_finite,),
        cost=_cost,
        reuse=Reuse.NONE,
        work=softmax_work,
    ),
)
