"""Conv: one and two dimensions, ordinary and depthwise."""

from __future__ import annotations

import numpy as np

from tinsmith.ops.base import INTEGER, Cost, Operator, Reuse, constraint
from tinsmith.ops.call import Call
from tinsmith.ops.conv_emit import emit
from tinsmith.ops.conv_kernel import compute, geometry_of, is_depthwise, shape, weights_of
from tinsmith.ops.conv_lower import Window, conv_window, needs_explicit_pad, padded_input, write_conv
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import spatial
from tinsmith.ops.linear import (
    bias_fits,
    constant_bias,
    constant_weights,
    legal_shifts,
    linear_ports,
    quantized_weights,
    sums_fit,
)
from tinsmith.ops.linear_work import convolution
from tinsmith.ops.lowering import Lowering
from tinsmith.ops.passage import Passage, Weighted
from tinsmith.ops.ports import Ports
from tinsmith.targets import Target


def ports(node: FloatNode, target: Target) -> Ports:
    """Weights have one exponent per filter where the chip has them."""
    return linear_ports(node, axis=0)


def float_depthwise(node: FloatNode) -> bool:
    """Whether a float Conv becomes a depthwise one: group = C, unless there is one channel only."""
    return node.integer("group", 1) != 1


def lower(call: Lowering) -> None:
    """One Conv, behind a Pad where the kernels need it."""
    source, window = padded_input(call, call.slot(0), conv_window(call.node))
    weights, _ = quantized_weights(call)
    write_conv(call, source, weights, window, depthwise=float_depthwise(call.node))


def sound_windows(call: Call) -> str | None:
    """Shapes the kernels get wrong; lowering avoids them with a Pad, other exporters do not."""
    geometry = geometry_of(call)
    x = call.arg(0).data.shape
    lengths = (1, x[1]) if len(x) == 3 else x[1:3]
    if not needs_explicit_pad(lengths, Window(geometry.kernel, geometry.strides, geometry.dilations, geometry.pads)):
        return None
    return f"the kernels compute garbage for {geometry} on {lengths[0]}×{lengths[1]}: pad explicitly."


def sums_fit_in(call: Call) -> str | None:
    """Accumulators that do not saturate must hold every sum."""
    return sums_fit(call, weights_of(call), depthwise=is_depthwise(call))


def cost(node: FloatNode) -> Cost:
    """One multiply-accumulate per weight of a filter and output element."""
    filters = node.input(1).shape
    macs = int(np.prod(node.outputs[0].shape)) * int(np.prod(filters[1:]))
    return Cost(macs, "depthwise" if float_depthwise(node) else "conv2d")


@constraint
def one_sample(node: FloatNode, target: Target) -> bool:
    """The runtime convolves one sample of one or two dimensions.

    Use a batch of 1; turn a three-dimensional convolution into two-dimensional ones.
    """
    return node.input(0).rank in (3, 4) and node.input(0).shape[0] == 1


@constraint
def known_group(node: FloatNode, target: Target) -> bool:
    """`group` must be 1 or the number of input channels: the runtime executes every other value as depthwise.

    Split the channels into convolutions with group = 1.
    """
    return node.const(1) is None or node.integer("group", 1) in (1, node.input(0).shape[1])


@constraint
def one_filter_per_channel(node: FloatNode, target: Target) -> bool:
    """A depthwise convolution must have one filter per channel: the runtime has no depth multiplier.

    Repeat the input channels first, or use an ordinary convolution.
    """
    group = node.integer("group", 1)
    return group == 1 or group != node.input(0).shape[1] or node.input(1).shape[0] == group


def passage(node: FloatNode) -> Passage | Weighted:
    """Filters and, unless depthwise, their input channels take the factors."""
    group = node.integer("group", 1)
    if node.const(1) is None or group not in (1, node.outputs[0].shape[1]):
        return Passage.STOPS
    return Weighted(channels=1, rows=0, columns=1 if group == 1 else None)


OPERATORS = (
    Operator(
        name="Conv",
        compute=compute,
        emit=emit,
        shape=shape,
        types=INTEGER,
        ports=ports,
        layout=spatial,
        lower=lower,
        constraints=(constant_weights, constant_bias, one_sample, known_group, one_filter_per_channel),
        rules=(legal_shifts, bias_fits, sums_fit_in, sound_windows),
        cost=cost,
        fuses_relu=True,
        passage=passage,
        reuse=Reuse.NONE,
        work=convolution,
    ),
)
