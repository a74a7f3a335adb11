"""Gather and ScatterND."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinsmith.ops.base import Operator, Reuse, constraint
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit, NotExpressible
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import Perm, identity
from tinsmith.ops.lowering import PLAIN, Lowering, plain_attributes
from tinsmith.ops.movers import axis_of, bounded, integers, refuse, same_format
from tinsmith.ops.passage import moves
from tinsmith.ops.ports import ACTIVATION, RAW, Ports
from tinsmith.quant.rounding import saturate
from tinsmith.targets import Target, Version


def _gather(call: Call) -> Sequence[Array]:
    """y[…, i…, …] = x[…, indices[i…], …] along `axis`.

    Negative indices count from the back, as in ONNX; the chip does not know them (see the rule).
    """
    x, indices = call.arg(0).data, call.arg(1).data
    axis = axis_of(call, call.attr("axis", 0), x.ndim)
    if integers(call, 1) and not -x.shape[axis] <= indices.min() <= indices.max() < x.shape[axis]:
        raise refuse(call, f"an index is outside axis {axis} of length {x.shape[axis]}.")
    bounded(call, indices.size * (x.size // max(x.shape[axis], 1)))
    return [np.take(x, indices, axis=axis)]


def _emit_gather(emit: Emit) -> None:
    call = emit.call
    x, indices = call.arg(0).data, call.arg(1).data
    axis = axis_of(call, call.attr("axis", 0), x.ndim)
    emit.give(emit.op("Gather", emit.x(0), emit.x(1), axis=axis), rank=x.ndim - 1 + indices.ndim)


def _not_negative(call: Call) -> str | None:
    if min(integers(call, 1) or (0,)) < 0:
        return "negative indices make the chip read outside the tensor."
    return None


def _gathered(node: FloatNode, available: Sequence[Perm | None]) -> tuple[list[Perm | None], list[Perm]]:
    """Input 0's order stays; the dimensions of the indices take the place of the axis."""
    x, indices = node.input(0), node.input(1)
    perm = available[0] or identity(x.rank)
    at, count = node.integer("axis", 0) % x.rank, indices.rank
    result: list[int] = []
    for axis in perm:
        result += range(at, at + count) if axis == at else [axis if axis < at else axis - 1 + count]
    return [perm, identity(count)], [tuple(result)]


def _lower_gather(call: Lowering) -> None:
    """Negative constant indices become what they mean; int64, whatever they were."""
    axis = call.node.integer("axis", 0) % call.node.input(0).rank
    indices = call.node.const(1)
    name = call.name(1) if indices is None else _normalized(call, indices, np.array(call.node.input(0).shape[axis]))
    call.emit([call.name(0), name], attributes={"axis": call.slot(0).perm.index(axis)})


def _normalized(call: Lowering, indices: Array, lengths: Array) -> str:
    if indices.dtype == np.int64 and not (indices < 0).any():
        return call.name(1)
    data = np.where(indices < 0, indices + lengths, indices).astype(np.int64)
    return call.sink.add_constant(f"{call.node.name}_indices", data, (0,), PLAIN)


def _gather_inside(node: FloatNode, target: Target) -> bool:
    """An index is outside the dimension it gathers from. Correct the indices."""
    indices = node.const(1)
    length = node.input(0).shape[node.integer("axis", 0) % node.input(0).rank]
    return indices is None or not indices.size or bool(-length <= indices.min() <= indices.max() < length)


def _wide_indices(node: FloatNode, target: Target) -> bool:
    """The runtime reads indices as int64. Cast them in the model."""
    return node.input(1).const is not None or node.input(1).dtype == np.int64


Update = Callable[[Array, Array], Array]
_REDUCTIONS: dict[str, Update] = {
    "none": lambda old, new: new,
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


def reduction_of(call: Call) -> Update:
    """How an update meets the element it lands on.

    Raises:
        ProgramError: `reduction` is none of none, add, mul, max, min.
    """
    name = call.attr("reduction", "none")
    if name not in _REDUCTIONS:
        raise refuse(call, f"reduction {name!r} does not exist, only {', '.join(_REDUCTIONS)}.")
    return _REDUCTIONS[name]


def _scatter(call: Call) -> Sequence[Array]:
    """A copy of x in which each index tuple's slice meets its update, in order; raw integers, saturating each time."""
    x, indices, updates = (call.arg(index).data for index in range(3))
    integers(call, 1)
    depth = indices.shape[-1] if indices.ndim else 0
    if not 0 < depth <= x.ndim or updates.shape != indices.shape[:-1] + x.shape[depth:]:
        raise refuse(call, f"indices {indices.shape} and updates {updates.shape} do not fit {x.shape}.")
    update, quantized = reduction_of(call), call.out.dtype.quantized
    y = x.astype(np.int64) if quantized else x.copy()
    new = updates.astype(y.dtype).reshape(-1, *x.shape[depth:])
    for where, values in zip(map(tuple, indices.reshape(-1, depth).tolist()), new, strict=True):
        met = update(y[where], values)
        y[where] = saturate(met, call.bits) if quantized else met
    return [y.astype(x.dtype)]


def _emit_scatter(emit: Emit) -> None:
    """Products beyond 2^24 are rounded in float32, but only products the limits of 16 bits cut off anyway."""
    call = emit.call
    name = call.attr("reduction", "none")
    if not emit.is_const(1):
        raise NotExpressible("the indices of ScatterND are computed at run time")
    indices = call.arg(1).data
    tuples = indices.reshape(-1, indices.shape[-1])
    unique = len(np.unique(tuples % np.array(call.arg(0).data.shape[: tuples.shape[1]]), axis=0)) == len(tuples)
    if not unique or not (call.out.dtype.quantized or name == "none"):
        raise NotExpressible("ScatterND with repeated indices, or arithmetic in float")
    tensor = emit.op("ScatterND", emit.x(0), emit.x(1), emit.x(2), reduction=name)
    emit.give(tensor if name in ("none", "max", "min") else emit.clipped(tensor, call.bits))


def _scatter_formats(call: Call) -> str | None:
    """x, the updates and the output need one exponent and one width."""
    wrong = same_format(call)
    update = call.arg(2)
    if wrong is None and call.out.dtype.quantized and update.exponent != call.out.exponent:
        return f"the updates have exponent {update.exponent}, the output {call.out.exponent}."
    return wrong


def _no_raw_product(call: Call) -> str | None:
    if call.attr("reduction", "none") == "mul" and call.out.dtype.quantized and call.arg(2).exponent != 0:
        return "reduction mul multiplies raw integers and does not rescale the product."
    return None


def _scatter_ports(node: FloatNode, target: Target) -> Ports:
    """x, the updates and the output share one exponent; the indices stay raw."""
    return Ports((ACTIVATION, RAW, ACTIVATION), (ACTIVATION,), tied=(0, 2))


def _lower_scatter(call: Lowering) -> None:
    """Negative constant indices become what they mean; reduction none is the default and not written."""
    attributes = {key: value for key, value in plain_attributes(call.node).items() if value != "none"}
    indices = call.node.const(1)
    shape = np.array(call.node.input(0).shape, dtype=np.int64)
    name = call.name(1) if indices is None else _normalized(call, indices, shape[: indices.shape[-1]])
    call.emit([call.name(0), name, call.name(2)], attributes=attributes)


def _scatter_product(node: FloatNode, target: Target) -> bool:
    """ScatterND with reduction mul multiplies raw integers and does not rescale them. Multiply by a mask with Mul."""
    return node.text("reduction", "none") != "mul"


def _scatter_inside(node: FloatNode, target: Target) -> bool:
    """An index is outside the tensor it writes to. Correct the indices."""
    indices = node.const(1)
    if indices is None or not indices.size or not indices.ndim:
        return True
    lengths = np.array(node.input(0).shape[: indices.shape[-1]], dtype=np.int64)
    return bool(((-lengths <= indices) & (indices < lengths)).all())


OPERATORS = (
    Operator(
        "Gather",
        _gather,
        emit=_emit_gather,
        layout=_gathered,
        lower=_lower_gather,
        constraints=(constraint(_gather_inside), constraint(_wide_indices)),
        rules=(same_format, _not_negative),
        passive=True,
        passage=moves,
        reuse=Reuse.NONE,
    ),
    Operator(
        "ScatterND",
        _scatter,
        emit=_emit_scatter,
        since=Version(3, 2, 4),
        ports=_scatter_ports,
        lower=_lower_scatter,
        constraints=(constraint(_scatter_product), constraint(_scatter_inside), constraint(_wide_indices)),
        rules=(_scatter_formats, _not_negative, _no_raw_product),
        passive=True,
    ),
)
