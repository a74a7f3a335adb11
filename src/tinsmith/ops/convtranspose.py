"""ConvTranspose, which the runtime has as InsertZeros followed by a Conv."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tinsmith.errors import ProgramError
from tinsmith.ops.base import INTEGER, Cost, Operator, Reuse, constraint
from tinsmith.ops.call import Array, Call
from tinsmith.ops.conv import one_sample
from tinsmith.ops.conv_lower import Window, padded_input, window_of, write_conv
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import spatial
from tinsmith.ops.linear import constant_bias, constant_weights, linear_ports, quantized_weights
from tinsmith.ops.lowering import Lowering, Slot
from tinsmith.ops.movers import same_format
from tinsmith.ops.passage import Passage, Weighted
from tinsmith.ops.ports import Ports
from tinsmith.targets import Target, Version

ZEROS_SINCE = Version(3, 2, 4)
"""The first ESP-DL release known to have InsertZeros, which a transposed convolution becomes."""


def spread_shape(call: Call) -> list[tuple[int, ...]]:
    """(1, …, C) with ``n + (s - 1)·(n - 1) + output_padding`` elements per spatial dimension.

    Raises:
        ProgramError: The input is not NWC or NHWC.
    """
    batch, *lengths, channels = call.arg(0).data.shape
    if len(lengths) not in (1, 2):
        raise ProgramError(f"input {call.arg(0).data.shape} is neither NWC nor NHWC.", subject=call.node.subject)
    ones = (1,) * len(lengths)
    strides, padding = call.attr("stride", ones), call.attr("output_padding", (0,) * len(lengths))
    spread = (n + (s - 1) * (n - 1) + p for n, s, p in zip(lengths, strides, padding, strict=True))
    return [(batch, *spread, channels)]


def insert_zeros(call: Call) -> Sequence[Array]:
    """Output y[s·i] = x[i], zeros between and behind (arithmetic §2.4)."""
    (result,) = spread_shape(call)
    y = np.zeros(result, call.out.dtype.numpy)
    x = call.arg(0).data
    steps = call.attr("stride", (1,) * (x.ndim - 2))
    places = tuple(slice(0, (n - 1) * s + 1, s) for n, s in zip(x.shape[1:-1], steps, strict=True))
    y[(slice(None), *places)] = x
    return [y]


def emit_zeros(e: Emit) -> None:
    """The spatial dimensions doubled with zeros behind each element, then cut or extended to length."""
    call, x = e.call, e.x(0, "first")
    channels, lengths = call.arg(0).data.shape[-1], call.arg(0).data.shape[1:-1]
    steps = call.attr("stride", (1,) * len(lengths))
    (result,) = spread_shape(call)
    single = [n for length in lengths for n in (length, 1)]
    wide = [0, 0, *(n for step in steps for n in (0, step - 1))]
    x = e.op("Reshape", x, e.constant([1, channels, *single], np.int64))
    x = e.op("Pad", x, e.constant([0] * len(wide) + wide, np.int64))
    lengthened = [length * step for length, step in zip(lengths, steps, strict=True)]
    x = e.op("Reshape", x, e.constant([1, channels, *lengthened], np.int64))
    missing = [want - have for want, have in zip(result[1:-1], lengthened, strict=True)]
    if any(missing):
        x = e.op("Pad", x, e.constant([0] * (2 + len(missing)) + [0, 0, *missing], np.int64))
    e.give(x, layout="first")


def refuse(call: Call) -> Sequence[Array]:
    """A ConvTranspose in a file.

    Raises:
        ProgramError: Always: the runtime has no such module.
    """
    raise ProgramError("the runtime has no ConvTranspose: files hold InsertZeros and Conv.", subject=call.node.subject)


def ports(node: FloatNode, target: Target) -> Ports:
    """Weights (C, N/group, …) have one exponent per output channel: along axis 1, or 0 where depthwise."""
    return linear_ports(node, axis=1 if node.integer("group", 1) == 1 else 0)


def begin_and_end(node: FloatNode) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The rows cut off in front and behind the full result, and those added behind, per spatial dimension.

    `output_shape` and `auto_pad` as ONNX defines them.
    """
    window = window_of(node)
    count = len(window.kernel)
    added = node.integers("output_padding", (0,) * count)
    lengths, results = node.input(0).shape[2:], node.outputs[0].shape[2:]
    auto = node.text("auto_pad", "NOTSET")
    if auto == "NOTSET" and "output_shape" not in node.attributes:
        pads = node.integers("pads", (0,) * (2 * count))
        return pads[:count], pads[count:], added
    steps = zip(lengths, window.strides, window.reach, added, results, strict=True)
    cut = [s * (n - 1) + a + r - out for n, s, r, a, out in steps]
    small, large = [c // 2 for c in cut], [c - c // 2 for c in cut]
    begin, end = (small, large) if auto == "SAME_UPPER" else (large, small)
    return tuple(begin), tuple(end), added


def flipped(weights: Array, *, depthwise: bool) -> Array:
    """Weights (C, N/group, …) as those of the equivalent Conv: (N, C/group, …), every spatial axis reversed."""
    spatial_axes = tuple(range(2, weights.ndim))
    turned = weights if depthwise else weights.swapaxes(0, 1)
    return np.flip(turned, spatial_axes)


def lower(call: Lowering) -> None:
    """InsertZeros where there is anything to insert, then a Conv of stride 1."""
    window = window_of(call.node)
    begin, end, added = begin_and_end(call.node)
    source = call.slot(0)
    if any(s > 1 for s in window.strides) or any(added):
        source = _spread(call, window.strides, added)
    pads = tuple(r - 1 - p for r, p in zip(window.reach * 2, (*begin, *end), strict=True))
    depthwise = call.node.integer("group", 1) != 1
    weights = flipped(quantized_weights(call)[0], depthwise=depthwise)
    name, walk = padded_input(call, source, Window(window.kernel, (1,) * len(begin), window.dilations, pads))
    write_conv(call, name, weights, walk, depthwise=depthwise)


def _spread(call: Lowering, strides: tuple[int, ...], added: tuple[int, ...]) -> Slot:
    source = call.slot(0)
    batch, *lengths, channels = source.shape
    spread = (n + (s - 1) * (n - 1) + a for n, s, a in zip(lengths, strides, added, strict=True))
    shape = (batch, *spread, channels)
    name = call.sink.add_value(f"{source.name}_spread", source.dtype, shape, source.exponents)
    call.emit(
        [source.name],
        [name],
        attributes={"output_padding": added, "stride": strides},
        op_type="InsertZeros",
        name=f"{call.node.name}_InsertZeros",
    )
    return replace(source, name=name, shape=shape)


def cost(node: FloatNode) -> Cost:
    """One multiply-accumulate per weight of a filter and output element: the Conv multiplies the zeros too."""
    weights = node.input(1).shape
    depthwise = node.integer("group", 1) != 1
    channels = 1 if depthwise else weights[0]
    macs = int(np.prod(node.outputs[0].shape)) * channels * int(np.prod(weights[2:]))
    return Cost(macs, "depthwise" if depthwise else "conv2d")


@constraint
def known_group(node: FloatNode, target: Target) -> bool:
    """`group` must be 1, or the number of channels with one filter each: the runtime has no other groups.

    Split the channels into several ConvTranspose.
    """
    group = node.integer("group", 1)
    one_each = group == node.input(0).shape[1] and node.input(1).shape[1] == 1
    return node.const(1) is None or group == 1 or one_each


@constraint
def pads_within_kernel(node: FloatNode, target: Target) -> bool:
    """`pads` must not cut off more than the kernel reaches, dilation · (kernel - 1).

    Cut the output with a Slice instead.
    """
    begin, end, _ = begin_and_end(node)
    reach = window_of(node).reach
    return all(0 <= p < r for p, r in zip((*begin, *end), reach * 2, strict=True))


def passage(node: FloatNode) -> Passage | Weighted:
    """Filters and, unless depthwise, their input channels take the factors."""
    group = node.integer("group", 1)
    if node.const(1) is None or group not in (1, node.outputs[0].shape[1]):
        return Passage.STOPS
    return Weighted(channels=1, rows=1, columns=0) if group == 1 else Weighted(channels=1, rows=0, columns=None)


OPERATORS = (
    Operator(
        name="ConvTranspose",
        compute=refuse,
        types=INTEGER,
        since=ZEROS_SINCE,
        ports=ports,
        layout=spatial,
        lower=lower,
        constraints=(constant_weights, constant_bias, one_sample, known_group, pads_within_kernel),
        cost=cost,
        fuses_relu=True,
        passage=passage,
    ),
    Operator(
        name="InsertZeros",
        compute=insert_zeros,
        emit=emit_zeros,
        shape=spread_shape,
        types=INTEGER,
        since=ZEROS_SINCE,
        layout=spatial,
        rules=(same_format,),
        importable=False,
        reuse=Reuse.NONE,
    ),
)
