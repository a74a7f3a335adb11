"""Resize, nearest or linear, over one or two dimensions (arithmetic §12). The runtime has it for int8 values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinsmith.ops.base import INTEGER, Cost, Operator, Reuse
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import spatial
from tinsmith.ops.lowering import PLAIN, Lowering
from tinsmith.ops.passage import channelwise
from tinsmith.ops.places import common_layout
from tinsmith.ops.ports import ACTIVATION, RAW, Ports
from tinsmith.ops.resize_limits import CONSTRAINTS, RULES, unfilled
from tinsmith.ops.resize_positions import Stretch, corners, factors_of, float_stretches, is_linear, stretches_of
from tinsmith.ops.resize_steps import blends, lower_steps, picks
from tinsmith.ops.values import from_real, real, shifted
from tinsmith.ops.work import Work, copies, in_float
from tinsmith.program import Attribute
from tinsmith.targets import Target

ONE = np.float32(1)


def resize(call: Call) -> Sequence[Array]:
    """Nearest: ``sat(rshift(x, e_y - e_x))`` of the elements picked. Linear: ``f32(f32(X0·(1-f)) + f32(X1·f))``.

    Linear goes along the last spatial dimension first, then along the one before, on real numbers.
    """
    x = call.arg(0)
    found = list(enumerate(stretches_of(call), 1))
    if not is_linear(call):
        picked = x.data
        for axis, stretch in found:
            picked = picked.take(stretch.nearest(), axis=axis)
        return [shifted(call, picked, call.out.exponent - x.exponent)]
    values = real(x)
    for axis, stretch in reversed(found):
        left, weight = stretch.linear(corners(call))
        right = np.minimum(left + 1, stretch.length - 1)
        f = weight.reshape((-1,) + (1,) * (x.data.ndim - 1 - axis))
        values = values.take(left, axis=axis) * (ONE - f) + values.take(right, axis=axis) * f
    return [from_real(call, values)]


def resize_shape(call: Call) -> Sequence[tuple[int, ...]]:
    """(N, results…, C)."""
    shape = call.arg(0).data.shape
    return [(shape[0], *(stretch.result for stretch in stretches_of(call)), shape[-1])]


def emit_resize(e: Emit) -> None:
    """Gathers along each dimension, and for linear the runtime's own float32 steps on unscaled integers."""
    found = list(enumerate(stretches_of(e.call), 1))
    shift = e.call.out.exponent - e.call.arg(0).exponent
    factors = [s.result // s.length for _, s in found]
    if not is_linear(e.call) and common_layout(e) == "first" and all(_repeats(s) for _, s in found):
        scales = e.constant([1, 1, *factors], np.float32)
        mode: dict[str, Any] = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        picked = e.op("Resize", e.x(0, "first"), "", scales, mode="nearest", **mode)
        return e.give(_rescaled(e, picked, shift), layout="first")
    x, rank = e.x(0), e.call.arg(0).data.ndim
    for axis, stretch in reversed(found):
        if is_linear(e.call):
            x = _emit_linear(e, x, axis, stretch, rank)
        else:
            x = e.op("Gather", x, e.constant(stretch.nearest()), axis=axis)
    if is_linear(e.call):
        return e.give(e.quantized(e.op("Mul", x, e.scalar(2.0**-shift))))
    return e.give(_rescaled(e, x, shift))


def _repeats(stretch: Stretch) -> bool:
    """Whether every element appears a whole number of times."""
    factor = stretch.result // stretch.length
    return stretch.result % stretch.length == 0 and np.array_equal(
        stretch.nearest(), np.arange(stretch.result) // factor
    )


def _rescaled(e: Emit, x: str, shift: int) -> str:
    return x if shift == 0 else e.quantized(e.op("Mul", x, e.scalar(2.0**-shift)))


def _emit_linear(e: Emit, x: str, axis: int, stretch: Stretch, rank: int) -> str:
    left, weight = stretch.linear(corners(e.call))
    f = weight.reshape((-1,) + (1,) * (rank - 1 - axis))
    right = np.minimum(left + 1, stretch.length - 1)
    first = e.op("Mul", e.op("Gather", x, e.constant(left), axis=axis), e.constant(ONE - f))
    second = e.op("Mul", e.op("Gather", x, e.constant(right), axis=axis), e.constant(f))
    return str(e.op("Add", first, second))


def lower_resize(call: Lowering) -> None:
    """The runtime's Resize where it computes something, else what stands for it (`resize_steps`).

    What the runtime computes anyway is what the attributes say; `scales` or `sizes` for all dimensions.
    """
    linear = call.node.text("mode", "nearest") == "linear"
    aligned = call.node.text("coordinate_transformation_mode", "half_pixel") == "align_corners"
    found = float_stretches(call.node)
    steps = blends(found, aligned=aligned) if linear else picks(found)
    if steps and (call.bits == 16 or (not linear and unfilled(call.target, call.slot(0).shape[-1], found))):
        lower_steps(call, steps)
        return
    coordinates = ("align_corners" if aligned else "half_pixel") if linear else "asymmetric"
    attributes: dict[str, Attribute] = {
        "coordinate_transformation_mode": coordinates,
        "cubic_coeff_a": -0.75,
        "mode": "linear" if linear else "nearest",
        "nearest_mode": "floor",
    }
    scales, sizes = factors_of(call.node)
    doc, index = PLAIN, 2 if scales is not None else 3
    operand = call.node.inputs[index] if call.node.has(index) else None
    name = operand.name if operand is not None else f"{call.node.name}_{'scales' if index == 2 else 'sizes'}"
    constant = call.sink.add_constant(name, np.asarray(scales if scales is not None else sizes), (0,), doc)
    call.emit([call.name(0), *[""] * (index - 1), constant], attributes=attributes)


def resize_ports(node: FloatNode, target: Target) -> Ports:
    """Nearest keeps the exponent: on the ESP32-P4 another one is rounded at random. Linear is free."""
    others = (RAW,) * (len(node.inputs) - 1)
    tied = () if node.text("mode", "nearest") == "linear" else (0,)
    return Ports((ACTIVATION, *others), (ACTIVATION,), tied=tied)


def resize_cost(node: FloatNode) -> Cost:
    """Two products per dimension and element where it interpolates."""
    linear = node.text("mode", "nearest") == "linear"
    elements = int(np.prod(node.outputs[0].shape, dtype=np.int64))
    return Cost(elements * 2 * (node.input(0).rank - 2) if linear else 0, "resize")


def resize_work(call: Call, shapes: Sequence[tuple[int, ...]]) -> Work:
    """Nearest: the channels of a position are copied; linear: float32 arithmetic."""
    return (in_float if call.attr("mode", "nearest") == "linear" else copies)(call, shapes)


OPERATORS = (
    Operator(
        "Resize",
        resize,
        emit_resize,
        shape=resize_shape,
        types=INTEGER,
        ports=resize_ports,
        layout=spatial,
        lower=lower_resize,
        constraints=CONSTRAINTS,
        rules=RULES,
        cost=resize_cost,
        passage=channelwise,
        reuse=Reuse.NONE,
        work=resize_work,
    ),
)
