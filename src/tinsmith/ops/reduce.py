"""Reductions over any axes (arithmetic §6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tinsmith.ops.base import Constraint, Cost, Operator, constraint, free_ports, move_ports
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatmath import Float32, expf, logf
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.lowering import Lowering
from tinsmith.ops.movers import int64_input, known_inputs, same_format
from tinsmith.ops.newton import newton_root
from tinsmith.ops.ports import Ports
from tinsmith.ops.reduce_axes import group_count, node_axes, reduced_axes, reduced_layout, reduced_shape, rows_of
from tinsmith.ops.reduce_emit import emit_extreme, emit_mean, emit_total
from tinsmith.ops.softmax import LARGEST_EXPONENT, running_sum
from tinsmith.ops.values import from_real, narrow_sum, power, saturated, shifted
from tinsmith.ops.work import in_float
from tinsmith.quant.rounding import wrap
from tinsmith.targets import Target, Version

MOST_GROUPS = 4
"""Runs of neighbouring axes that are all reduced or all kept; beyond, the runtime leaves the output unwritten."""
_LARGEST_POWER = math.log(float(np.finfo(np.float32).max))


def _compute(reduce: Callable[[Call, Array], Array]) -> Callable[[Call], Sequence[Array]]:
    def compute(call: Call) -> Sequence[Array]:
        with np.errstate(all="ignore"):
            return [reduce(call, rows_of(call)).reshape(reduced_shape(call)[0])]

    return compute


# ---- one row to one number


def _real_rows(call: Call, rows: Array) -> Float32:
    data = rows.astype(np.float32)
    return data if rows.dtype == np.float32 else data * power(call.arg(0).exponent)


def _total(call: Call, terms: Array, bits: int = 64) -> Array:
    """Σ: of integers exact (wrapping to ``bits``), of floats one after the other in float32."""
    if terms.dtype == np.float32:
        return running_sum(terms, 1).reshape(-1)
    total: Array = terms.sum(axis=1, dtype=np.int64)
    return wrap(total, bits) if bits < 64 else total


def _total_squares(call: Call, rows: Array) -> Array:
    """Σx²; the runtime's accumulator has 32 bits in int8."""
    wide = rows if rows.dtype == np.float32 else rows.astype(np.int64)
    return _total(call, wide * wide, 32 if rows.dtype == np.int8 else 64)


def _real_total(call: Call, total: Array, exponent: int) -> Float32:
    """f32(f32(Σ) · 2^exponent)."""
    return total if total.dtype == np.float32 else total.astype(np.float32) * power(exponent)


def _magnitudes(rows: Array) -> Array:
    magnitudes: Array = np.abs(rows if rows.dtype == np.float32 else rows.astype(np.int64))
    return magnitudes


def _shifted_total(call: Call, total: Array, exponent: int) -> Array:
    """sat(rshift(Σ, e_y - exponent)); float totals as they are."""
    return total if call.is_float else shifted(call, total, call.out.exponent - exponent)


def _mean(call: Call, rows: Array) -> Array:
    """sat(R(f32(f32(f32(Σ · 2^e_x) / N) · 2^-e_y)))."""
    total = _real_total(call, _total(call, rows), call.arg(0).exponent)
    return from_real(call, total / np.float32(rows.shape[1]))


def _sum(call: Call, rows: Array) -> Array:
    """sat(rshift(Σ, e_y - e_x))."""
    return _shifted_total(call, _total(call, rows), call.arg(0).exponent)


def _l1(call: Call, rows: Array) -> Array:
    """sat(rshift(Σ|x|, e_y - e_x))."""
    return _shifted_total(call, _total(call, _magnitudes(rows)), call.arg(0).exponent)


def _sum_square(call: Call, rows: Array) -> Array:
    """sat(rshift(Σx², e_y - 2·e_x))."""
    return _shifted_total(call, _total_squares(call, rows), 2 * call.arg(0).exponent)


def _l2(call: Call, rows: Array) -> Array:
    """sat(R(f32(newton(f32(f32(Σx²) · 2^(2·e_x))) · 2^-e_y)))."""
    return from_real(call, newton_root(_real_total(call, _total_squares(call, rows), 2 * call.arg(0).exponent)))


def _log_sum(call: Call, rows: Array) -> Array:
    """sat(R(f32(logf(f32(Σ · 2^e_x)) · 2^-e_y)))."""
    return from_real(call, logf(_real_total(call, _total(call, rows), call.arg(0).exponent)))


def _log_sum_exp(call: Call, rows: Array) -> Array:
    """sat(R(f32(logf(Σ expf(f32(x · 2^e_x))) · 2^-e_y))), no maximum subtracted, Σ in float32."""
    return from_real(call, logf(running_sum(expf(_real_rows(call, rows)), 1)[:, 0]))


def _prod(call: Call, rows: Array) -> Array:
    """Running product of f32(x · 2^e_x), then · 2^-e_y: in float32, in int16 mode in double."""
    wide = call.bits == 16
    factors = _real_rows(call, rows).astype(np.float64 if wide else np.float32)
    product = np.multiply.accumulate(factors, axis=1)[:, -1]
    if not wide:
        return from_real(call, product.astype(np.float32))
    return saturated(call, call.target.rounding.to_int(product * 2.0**-call.out.exponent))


def _max(call: Call, rows: Array) -> Array:
    """The largest raw integer."""
    return np.asarray(rows.max(axis=1))


def _min(call: Call, rows: Array) -> Array:
    """The smallest raw integer."""
    return np.asarray(rows.min(axis=1))


# ---- limits


def _few_groups(call: Call) -> str | None:
    groups = group_count(call.arg(0).data.ndim, reduced_axes(call))
    if groups > MOST_GROUPS:
        return f"reduced and kept axes alternate in {groups} groups; beyond {MOST_GROUPS} the output stays unwritten."
    return None


def _powers_fit(call: Call) -> str | None:
    source, rows = call.arg(0), max(math.prod(reduced_shape(call)[0]), 1)
    if source.data.dtype.kind == "f":
        return None
    largest = _LARGEST_POWER - math.log(max(source.data.size // rows, 1))
    reach = 2.0 ** (8 * source.data.dtype.itemsize - 1 + source.exponent)
    if reach > largest:
        return (
            f"its input's format reaches {reach:g}; beyond {largest:.0f} the sum of exponentials overflows, for the "
            "runtime subtracts no maximum. Subtract one in front (ReduceMax, Sub) and add it behind."
        )
    return None


def _squares_fit(call: Call) -> str | None:
    """In int16 the squares are summed in 64 bits."""
    return narrow_sum(call, rows_of(call).shape[1], 2) if call.arg(0).data.dtype == np.int8 else None


def _groups_fit(node: FloatNode, target: Target) -> bool:
    """Reduced and kept axes alternate too often: the runtime leaves the output unwritten.

    Reduce one group of axes after the other.
    """
    return group_count(node.input(0).rank, node_axes(node)) <= MOST_GROUPS


def _known(node: FloatNode, target: Target) -> bool:
    """The axes are computed at run time; the chip needs fixed ones. Export the model with static shapes."""
    return known_inputs(node, target, 1)


def _reduces(node: FloatNode, target: Target) -> bool:
    """With `noop_with_empty_axes` and no axes ONNX copies the input, the runtime reduces everything. Use Identity."""
    given = node.const(1)
    return not node.integer("noop_with_empty_axes", 0) or (given is not None and given.size > 0)


_CONSTRAINTS: tuple[Constraint, ...] = (constraint(_known), constraint(_reduces), constraint(_groups_fit))


def _lower(call: Lowering) -> None:
    axes = sorted(call.slot(0).perm.index(axis) for axis in node_axes(call.node))
    keep = call.node.integer("keepdims", 1)
    call.emit([call.name(0), int64_input(call, 1, "axes", axes)], attributes={"keepdims": keep})


def _bounded_ports(node: FloatNode, target: Target) -> Ports:
    """Inputs reach 64 at most, where so many exponentials (e^24) have a finite sum as no network adds."""
    ports = free_ports(node, target)
    return replace(ports, largest_input_exponent=LARGEST_EXPONENT, largest_wide_exponent=LARGEST_EXPONENT - 8)


def _cost(node: FloatNode) -> Cost:
    return Cost(0, "reduce")


def _reduction(
    name: str,
    reduce: Callable[[Call, Array], Array],
    emit: Callable[[Emit], None] | None = None,
    *,
    moves: bool = False,
    ports: Callable[[FloatNode, Target], Ports] = free_ports,
    rules: tuple[Callable[[Call], str | None], ...] = (),
) -> Operator:
    return Operator(
        name,
        _compute(reduce),
        emit=emit,
        shape=reduced_shape,
        float_since=Version(3, 3, 0),
        ports=move_ports if moves else ports,
        layout=reduced_layout,
        lower=_lower,
        constraints=_CONSTRAINTS,
        rules=(_few_groups, *((same_format,) if moves else ()), *rules),
        cost=_cost,
        passive=moves,
        work=in_float,
    )


def _sum_emitter(power_of_x: int, *, magnitude: bool = False) -> Callable[[Emit], None]:
    return lambda emit: emit_total(emit, power_of_x, magnitude=magnitude)


OPERATORS = (
    _reduction("ReduceMean", _mean, emit_mean),
    _reduction("ReduceSum", _sum, _sum_emitter(1)),
    _reduction("ReduceL1", _l1, _sum_emitter(1, magnitude=True)),
    _reduction("ReduceSumSquare", _sum_square, _sum_emitter(2), rules=(_squares_fit,)),
    _reduction("ReduceL2", _l2, rules=(_squares_fit,)),
    _reduction("ReduceLogSum", _log_sum),
    _reduction("ReduceLogSumExp", _log_sum_exp, ports=_bounded_ports, rules=(_powers_fit,)),
    _reduction("ReduceProd", _prod),
    _reduction("ReduceMax", _max, lambda emit: emit_extreme(emit, "ReduceMax"), moves=True),
    _reduction("ReduceMin", _min, lambda emit: emit_extreme(emit, "ReduceMin"), moves=True),
)
