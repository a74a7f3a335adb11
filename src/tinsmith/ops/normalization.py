"""LayerNormalization, RMSNormalization, LpNormalization (arithmetic §7)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinsmith.ops.base import Cost, Operator, constraint, free_ports
from tinsmith.ops.call import Array, Call
from tinsmith.ops.floatmath import Float32, sqrtf
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import passive
from tinsmith.ops.lowering import Lowering, lower_with_axis, plain_attributes
from tinsmith.ops.movers import axis_of, refuse
from tinsmith.ops.newton import newton_root
from tinsmith.ops.norm_emit import emit_lp, emit_rms
from tinsmith.ops.ports import ACTIVATION, FLOAT, Ports
from tinsmith.ops.softmax import running_sum
from tinsmith.ops.unary import same_shape
from tinsmith.ops.values import from_real, narrow_sum, power, real, rounded
from tinsmith.ops.work import in_float
from tinsmith.targets import Target, Version

EPSILON = 1e-5
_ONE = np.float32(1)


def rows_of(call: Call) -> Array:
    """The input as (rows, N), N being the elements from `axis` on.

    Raises:
        ProgramError: There is no such axis, or the rows are empty.
    """
    x = call.arg(0).data
    axis = axis_of(call, call.attr("axis", -1), x.ndim)
    length = math.prod(x.shape[axis:])
    if not length:
        raise refuse(call, f"nothing to normalize in {list(x.shape)}.")
    return x.reshape(-1, length)


def _per_element(call: Call, index: int, length: int) -> Float32 | None:
    """Weight or bias as real numbers, one for each element of a row.

    Raises:
        ProgramError: It has another size.
    """
    found = call.optional(index)
    if found is None:
        return None
    if found.data.size != length:
        raise refuse(call, f"input {index} has {found.data.size} elements for rows of {length}.")
    with np.errstate(all="ignore"):
        return real(found).reshape(-1)


def _epsilon(call: Call) -> np.float32:
    return np.float32(call.attr("epsilon", EPSILON))


def _scaled(call: Call, y: Float32, length: int) -> Array:
    """Times γ, plus β, as real numbers; then to the output's integers."""
    gamma, beta = _per_element(call, 1, length), _per_element(call, 2, length)
    y = y if gamma is None else y * gamma
    y = y if beta is None else y + beta
    return from_real(call, y).reshape(call.arg(0).data.shape)


def _layer(call: Call) -> Sequence[Array]:
    """((x - mean) / newton(variance + epsilon)) · γ + β; the variance of raw integers in two passes, scaled after."""
    rows, scale = rows_of(call), np.float32(1 if call.is_float else power(call.arg(0).exponent))
    length = np.float32(rows.shape[1])
    with np.errstate(all="ignore"):
        if call.is_float:
            mean = running_sum(rows, 1) / length
        else:
            mean = (rows.sum(axis=1, keepdims=True, dtype=np.int64) / float(length)).astype(np.float32)
        distance = rows.astype(np.float32) - mean
        variance = running_sum(distance * distance, 1) * np.float32(scale * scale) / length
        inverse = _ONE / newton_root(variance + _epsilon(call))
        y = (rows.astype(np.float32) * scale - mean * scale) * inverse
        return [_scaled(call, y, rows.shape[1])]


def _rms(call: Call) -> Sequence[Array]:
    """X / sqrtf(mean square + epsilon) · weight; the weight is float."""
    rows = rows_of(call)
    weight = _per_element(call, 1, rows.shape[1])
    if weight is None:
        raise refuse(call, "the weight (input 1) is missing.")
    length, source = np.float32(rows.shape[1]), call.arg(0)
    with np.errstate(all="ignore"):
        if call.is_float:
            square = running_sum(rows * rows, 1) / length
        else:
            total = np.square(rows.astype(np.int64)).sum(axis=1, keepdims=True)
            square = total.astype(np.float32) * power(2 * source.exponent) / length
        factor = _ONE / sqrtf(square + _epsilon(call))
        if call.is_float:
            return [(rows * factor * weight).reshape(source.data.shape)]
        factor = factor * power(source.exponent - call.out.exponent)
        return [rounded(call, rows.astype(np.float32) * factor * weight).reshape(source.data.shape)]


def _lp(call: Call) -> Sequence[Array]:
    """X / Σ|x| (p = 1) or x / sqrtf(Σx²) (p = 2), on raw integers; zeros where the sum is zero.

    On the last axis the factor is brought to the output's exponent first, elsewhere the product is.
    """
    x, p = call.arg(0).data, call.attr("p", 2)
    axis = axis_of(call, call.attr("axis", -1), x.ndim)
    if p not in (1, 2):
        raise refuse(call, f"p = {p}: the runtime has 1 and 2.")
    with np.errstate(all="ignore"):
        wide = x.astype(np.float32)
        if p == 1:
            total = running_sum(np.abs(wide), axis)
        elif call.is_float:
            total = running_sum(wide * wide, axis)
        else:
            total = np.square(x.astype(np.int64)).sum(axis=axis, keepdims=True).astype(np.float32)
        inverse = _ONE / (total if p == 1 else sqrtf(total))
        if call.is_float:
            return [np.where(total == 0, np.float32(0), wide * inverse)]
        unit = power(-call.out.exponent)
        y = wide * (inverse * unit) if axis == x.ndim - 1 else wide * inverse * unit
        return [rounded(call, np.where(total == 0, np.float32(0), y))]


def _float_weight(call: Call) -> str | None:
    weight = call.optional(1)
    if weight is not None and weight.data.dtype != np.float32:
        return f"the weight is {weight.data.dtype}, and the runtime reads it as float32."
    return None


def _same_type(call: Call) -> str | None:
    source = call.arg(0).data.dtype
    for index in (1, 2):
        found = call.optional(index)
        if found is not None and found.data.dtype != source:
            return f"input {index} is {found.data.dtype}, and the runtime reads it as {source}, like the input."
    return None


def _sum_fits(call: Call) -> str | None:
    return narrow_sum(call, rows_of(call).shape[1])


def _squares_fit(call: Call) -> str | None:
    """In int16 the squares are summed in 64 bits."""
    return narrow_sum(call, rows_of(call).shape[1], 2) if call.arg(0).data.dtype == np.int8 else None


# ---- float networks


def _layer_ports(node: FloatNode, target: Target) -> Ports:
    """Input, weight, bias and output have formats of their own, all of the node's width."""
    return Ports(tuple(ACTIVATION for _ in node.inputs), tuple(ACTIVATION for _ in node.outputs))


def _rms_ports(node: FloatNode, target: Target) -> Ports:
    """The weight stays float."""
    return Ports((ACTIVATION, FLOAT), (ACTIVATION,))


def _row_length(node: FloatNode) -> int:
    shape = node.input(0).shape
    return math.prod(shape[node.integer("axis", -1) % len(shape) :])


def _weights_fit(node: FloatNode, target: Target) -> bool:
    """Weight and bias need one element for each element that is normalized together.

    Expand them in the model.
    """
    given = (node.input(index) for index in (1, 2) if node.has(index))
    return all(math.prod(operand.shape) == _row_length(node) for operand in given)


def _one_output(node: FloatNode, target: Target) -> bool:
    """The runtime computes the normalized tensor only, not mean and deviation. Compute those with ReduceMean."""
    return len(node.outputs) == 1


def _p(node: FloatNode, target: Target) -> bool:
    """The runtime normalizes by p = 1 and p = 2 only. Use one of them, or spell the norm out with Pow and ReduceSum."""
    return node.integer("p", 2) in (1, 2)


def _lower_norm(call: Lowering) -> None:
    """Axis and epsilon are written; `stash_type` is not read."""
    attributes = plain_attributes(call.node)
    attributes.update(axis=call.node.integer("axis", -1), epsilon=call.node.real("epsilon", EPSILON))
    call.emit(call.names(), attributes=attributes)


def _cost(node: FloatNode) -> Cost:
    return Cost(0, "norm")


OPERATORS = (
    Operator(
        "LayerNormalization",
        _layer,
        shape=same_shape,
        since=Version(3, 2, 4),
        ports=_layer_ports,
        lower=_lower_norm,
        constraints=(constraint(_weights_fit), constraint(_one_output)),
        rules=(_same_type, _sum_fits),
        cost=_cost,
        work=in_float,
    ),
    Operator(
        "RMSNormalization",
        _rms,
        emit=emit_rms,
        shape=same_shape,
        since=Version(3, 3, 6),
        ports=_rms_ports,
        lower=_lower_norm,
        constraints=(constraint(_weights_fit),),
        rules=(_float_weight, _squares_fit),
        cost=_cost,
        work=in_float,
    ),
    Operator(
        "LpNormalization",
        _lp,
        emit=emit_lp,
        shape=same_shape,
        since=Version(3, 3, 6),
        ports=free_ports,
        layout=passive,
        lower=lower_with_axis,
        constraints=(constraint(_p),),
        cost=_cost,
        work=in_float,
    ),
)
