"""Pad."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from tinsmith.ops.base import Operator, Reuse, constraint
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit, NotExpressible
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import passive
from tinsmith.ops.lowering import Lowering
from tinsmith.ops.movers import (
    axes_of,
    axis_in,
    bounded,
    constant_inputs,
    int64_input,
    integers,
    known_inputs,
    refuse,
    same_format,
)
from tinsmith.ops.passage import Passage, Weighted
from tinsmith.ops.places import common_layout
from tinsmith.ops.ports import ACTIVATION, RAW, Ports
from tinsmith.program import Attribute
from tinsmith.targets import Target

PadMode = Literal["constant", "edge", "reflect"]


def padding(call: Call) -> tuple[tuple[int, int], ...]:
    """(before, after) for each dimension of x, from inputs 1 (pads) and 3 (axes).

    Raises:
        ProgramError: There are not two pads for each axis, one is negative, or the result is beyond any chip.
    """
    shape, pads, given = call.arg(0).data.shape, integers(call, 1), integers(call, 3)
    if pads is None:
        raise refuse(call, "the pads (input 1) are missing.")
    axes = axes_of(call, range(len(shape)) if given is None else given, len(shape))
    if len(pads) != 2 * len(axes):
        raise refuse(call, f"{len(pads)} pads for {len(axes)} axes; two for each are needed.")
    if min(pads, default=0) < 0:
        raise refuse(call, "negative pads are not supported.", "Use Slice to crop.")
    found = [(0, 0)] * len(shape)
    for at, axis in enumerate(axes):
        found[axis] = (pads[at], pads[at + len(axes)])
    bounded(call, math.prod(size + sum(pair) for size, pair in zip(shape, found, strict=True)))
    return tuple(found)


def mode_of(call: Call) -> PadMode:
    """The `mode` attribute.

    Raises:
        ProgramError: The runtime does not have that mode.
    """
    match call.attr("mode", "constant"):
        case "constant":
            return "constant"
        case "edge":
            return "edge"
        case "reflect":
            return "reflect"
        case other:
            raise refuse(call, f"the runtime has no Pad mode {other!r}, only constant, edge and reflect.")


def fill_of(call: Call) -> int | float:
    """The raw element that fills the border in mode constant: the first one of input 2, 0 where absent."""
    given = call.optional(2)
    return 0 if given is None or given.data.size == 0 else given.data.reshape(-1)[0].item()


def _pad(call: Call) -> Sequence[Array]:
    """A border around x: a constant, copies of the edge, or the mirrored inside (without the edge)."""
    x, widths, mode = call.arg(0).data, padding(call), mode_of(call)
    if mode == "constant":
        return [np.pad(x, widths, constant_values=x.dtype.type(fill_of(call)))]
    if any(size == 0 and pair != (0, 0) for size, pair in zip(x.shape, widths, strict=True)):
        raise refuse(call, f"mode {mode} has nothing to repeat in {list(x.shape)}.")
    return [np.pad(x, widths, mode=mode)]


def _emit(emit: Emit) -> None:
    constant_inputs(emit, 1, 2, 3)
    call, layout, mode = emit.call, common_layout(emit), mode_of(emit.call)
    widths, x = padding(call), call.arg(0).data
    if mode == "reflect" and _reflects_too_far(call):
        raise NotExpressible("a reflected border is longer than the tensor")
    rank = len(widths)
    placed = [(0, 0)] * rank
    for axis, pair in enumerate(widths):
        placed[axis_in(layout, axis, rank)] = pair
    pads = emit.constant([before for before, _ in placed] + [after for _, after in placed], np.int64)
    inputs = [emit.x(0, layout), pads]
    if mode == "constant":
        carrier = np.float32 if call.out.dtype.quantized else x.dtype
        inputs.append(emit.constant(x.dtype.type(fill_of(call)), carrier))
    emit.give(emit.op("Pad", *inputs, mode=mode), layout=layout)


def _reflects_too_far(call: Call) -> bool:
    return any(max(pair) >= size for size, pair in zip(call.arg(0).data.shape, padding(call), strict=True) if max(pair))


def _within_reach(call: Call) -> str | None:
    if mode_of(call) == "reflect" and _reflects_too_far(call):
        return "a reflected border must be shorter than the dimension, or the chip reads beyond the tensor."
    widths = padding(call)
    if mode_of(call) != "constant" and (len(widths) > 5 or (len(widths) == 5 and widths[0] != (0, 0))):
        return f"mode {mode_of(call)} pads up to four dimensions, this tensor has {len(widths)}."
    return None


def _formats(call: Call) -> str | None:
    """x, the constant and the output need one exponent and one width."""
    wrong = same_format(call)
    value = call.optional(2)
    if wrong is not None or value is None or value.data.size == 0 or mode_of(call) != "constant":
        return wrong
    if call.out.dtype.quantized and fill_of(call) != 0:
        swapped = (value.data.dtype, value.exponent) != (call.out.dtype.numpy, call.out.exponent)
        return "the constant has another exponent or width than the tensor it pads." if swapped else None
    return None


def _ports(node: FloatNode, target: Target) -> Ports:
    """x, the constant that fills the border, and the output share one exponent; pads and axes stay raw."""
    inputs = tuple(ACTIVATION if index in (0, 2) else RAW for index in range(len(node.inputs)))
    return Ports(inputs, (ACTIVATION,), tied=tuple(index for index in (0, 2) if node.has(index)))


def _lower(call: Lowering) -> None:
    """Pads of all dimensions in the order of the layout; no axes input."""
    node, source, given = call.node, call.slot(0), call.node.const(3)
    pads = node.const(1)
    assert pads is not None
    rank = len(source.perm)
    axes = [axis % rank for axis in (range(rank) if given is None else given.reshape(-1).tolist())]
    sides = pads.reshape(2, len(axes)).tolist()
    moved = [side[axes.index(axis)] if axis in axes else 0 for side in sides for axis in source.perm]
    mode = node.text("mode", "constant")
    names = [call.name(0), int64_input(call, 1, "pads", moved)]
    if mode == "constant" and node.has(2):
        names.append(call.name(2))
    attributes: dict[str, Attribute] = {"mode": mode}
    call.emit(names, attributes=attributes)


def _known(node: FloatNode, target: Target) -> bool:
    """The pads are computed at run time; the chip needs fixed ones. Export the model with static shapes."""
    return known_inputs(node, target, 1, 2, 3)


def _mode_exists(node: FloatNode, target: Target) -> bool:
    """The runtime pads with a constant, the edge or a reflection, not by wrapping around.

    Build the border from Slice and Concat.
    """
    return node.text("mode", "constant") in ("constant", "edge", "reflect")


def _positive(node: FloatNode, target: Target) -> bool:
    """The runtime has no negative pads. Crop with Slice."""
    pads = node.const(1)
    return pads is None or not pads.size or int(pads.min()) >= 0


def _pads(node: FloatNode) -> tuple[tuple[int, int, int], ...]:
    """(length, before, after) of each padded dimension."""
    pads, given, shape = node.const(1), node.const(3), node.input(0).shape
    if pads is None:
        return ()
    axes = range(len(shape)) if given is None else given.reshape(-1).tolist()
    before, after = pads.reshape(2, -1).tolist()
    return tuple((shape[axis], b, a) for axis, b, a in zip(axes, before, after, strict=True))


def _reflection_inside(node: FloatNode, target: Target) -> bool:
    """A reflected border must be shorter than the dimension it extends: the chip would read beyond the tensor.

    Pad less, or with mode constant or edge.
    """
    return node.text("mode", "constant") != "reflect" or all(max(b, a) < size for size, b, a in _pads(node))


def _few_dimensions(node: FloatNode, target: Target) -> bool:
    """Edge and reflect borders exist for up to four dimensions. Reshape the tensor to four dimensions first."""
    if node.text("mode", "constant") == "constant" or node.input(0).rank <= 4:
        return True
    pads = node.const(1)
    return node.input(0).rank == 5 and pads is not None and not node.has(3) and pads[0] == pads[5] == 0


def _passage(node: FloatNode) -> Passage | Weighted:
    """A border of zeros, or copies, around the space of each channel."""
    pads, fill = node.const(1), node.const(2)
    if pads is None or node.has(3) or node.input(0).rank < 3 or (node.has(2) and (fill is None or fill.any())):
        return Passage.STOPS
    return Passage.STOPS if pads.reshape(2, -1)[:, :2].any() else Passage.CHANNELS


OPERATORS = (
    Operator(
        "Pad",
        _pad,
        emit=_emit,
        ports=_ports,
        layout=passive,
        lower=_lower,
        constraints=tuple(
            constraint(check) for check in (_known, _mode_exists, _positive, _reflection_inside, _few_dimensions)
        ),
        rules=(_formats, _within_reach),
        passive=True,
        passage=_passage,
        reuse=Reuse.NONE,
    ),
)
