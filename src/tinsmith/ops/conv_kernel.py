"""What a Conv node of a program computes (arithmetic §2)."""

from __future__ import annotations

from collections.abc import Sequence

from tinsmith.errors import ProgramError
from tinsmith.ops.call import Array, Call
from tinsmith.ops.linear import execute, packing_block, unit_of
from tinsmith.ops.packing import unpack
from tinsmith.quant.linear import Geometry, Sums


def is_depthwise(call: Call) -> bool:
    """Whether the runtime takes its depthwise kernel: for every `group` other than 1.

    Raises:
        ProgramError: The weights are not one filter per channel: the kernel would read past or beside them.
    """
    group, channels = call.attr("group", 1), call.arg(0).data.shape[-1]
    if group == 1:
        return False
    if call.arg(1).data.shape[-2:] != (channels, 1):
        raise ProgramError(
            f"group {group} with {channels} channels and weights {call.arg(1).data.shape}: the runtime would run its "
            "depthwise kernel over weights that are not one filter per channel.",
            subject=call.node.subject,
        )
    return True


def weights_of(call: Call) -> Array:
    """The weights (N, C/group, rows, columns), one row where the convolution is one-dimensional."""
    depthwise = is_depthwise(call)
    dims = call.arg(1).data.shape
    height, width, third, fourth = (1, *dims) if len(dims) == 3 else dims
    shape = (third, fourth, height, width) if depthwise else (fourth, third, height, width)
    return unpack(call.arg(1).data, shape, packing_block(call), depthwise=depthwise)


def geometry_of(call: Call) -> Geometry:
    """The walk, as two dimensions.

    Raises:
        ProgramError: Input or weights have another rank than 3 or 4, or the batch is not 1.
    """
    x, weights = call.arg(0).data, call.arg(1).data
    count = x.ndim - 2
    if count not in (1, 2) or weights.ndim != x.ndim or x.shape[0] != 1:
        raise ProgramError(
            f"input {x.shape} and weights {weights.shape}: the runtime has one- and two-dimensional convolutions of "
            "one sample.",
            subject=call.node.subject,
        )
    ones = (1,) * count
    kernel = weights.shape[:count]
    strides, dilations = call.attr("strides", ones), call.attr("dilations", ones)
    pads = call.attr("pads", (0,) * (2 * count))
    if count == 1:
        return Geometry((1, kernel[0]), (1, strides[0]), (1, dilations[0]), (0, pads[0], 0, pads[1]))
    (rows, columns), (down, right), (tall, wide) = kernel, strides, dilations
    return Geometry((rows, columns), (down, right), (tall, wide), (pads[0], pads[1], pads[2], pads[3]))


def compute(call: Call) -> Sequence[Array]:
    """The output sat(act(rshift(Σ x·w + bias, s)))."""
    unit_of(call)
    geometry = geometry_of(call)
    x = call.arg(0).data
    image = x[0] if x.ndim == 4 else x
    y = execute(call, Sums.convolution(image, weights_of(call), geometry, depthwise=is_depthwise(call)))
    return [y if x.ndim == 3 else y[None]]


def shape(call: Call) -> list[tuple[int, ...]]:
    """The output's shape, from the inputs' shapes."""
    x, weights = call.arg(0).data.shape, call.arg(1).data.shape
    height, width = geometry_of(call).size(*((1, x[1]) if len(x) == 3 else x[1:3]))
    channels = weights[-2] if is_depthwise(call) else weights[-1]
    return [(1, width, channels) if len(x) == 3 else (1, height, width, channels)]
