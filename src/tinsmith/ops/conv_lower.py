"""From float convolutions to Conv nodes: padding, packed weights, bias, attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinsmith.ops.call import Array
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.linear import add_bias
from tinsmith.ops.lowering import PLAIN, Lowering, Slot
from tinsmith.ops.packing import file_dims, layout_doc, pack


@dataclass(frozen=True, slots=True)
class Window:
    """A convolution's walk, one entry per spatial dimension; `pads` as in ONNX: all begins, then all ends."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """Input elements from a window's first tap to its last, both included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))


def window_of(node: FloatNode) -> Window:
    """The walk of a float Conv or ConvTranspose, without padding: that depends on the operator."""
    spatial = node.input(0).rank - 2
    ones = (1,) * spatial
    kernel = tuple(int(n) for n in node.input(1).shape[2:])
    return Window(kernel, node.integers("strides", ones), node.integers("dilations", ones), (0,) * (2 * spatial))


def conv_window(node: FloatNode) -> Window:
    """The walk of a float Conv, `auto_pad` resolved."""
    bare = window_of(node)
    auto = node.text("auto_pad", "NOTSET")
    if auto == "NOTSET":
        return replace(bare, pads=node.integers("pads", bare.pads))
    if auto == "VALID":
        return bare
    lengths = node.input(0).shape[2:]
    totals = [max(0, (-(-n // s) - 1) * s + r - n) for n, s, r in zip(lengths, bare.strides, bare.reach, strict=True)]
    small = [t // 2 for t in totals]
    large = [t - s for t, s in zip(totals, small, strict=True)]
    return replace(bare, pads=(*small, *large) if auto == "SAME_UPPER" else (*large, *small))


def needs_explicit_pad(lengths: Sequence[int], window: Window) -> bool:
    """Whether the kernels get this shape wrong (arithmetic §2.3).

    With stride ≥ 2: ``-stride < D + p - reach < 0`` in any dimension. Always: a window without a real input element.
    """
    spatial = len(lengths)
    for axis, length in enumerate(lengths):
        begin, end = window.pads[axis], window.pads[axis + spatial]
        stride, step, reach = window.strides[axis], window.dilations[axis], window.reach[axis]
        if stride >= 2 and -stride < length + begin - reach < 0:
            return True
        for start in range(-begin, length + end - reach + 1, stride):
            if not any(0 <= start + step * tap < length for tap in range(window.kernel[axis])):
                return True
    return False


def padded_input(call: Lowering, source: Slot, window: Window) -> tuple[str, Window]:
    """A Conv's input and the walk over it, a Pad node in front where the kernels would compute nonsense without.

    Args:
        call: The float node being lowered.
        source: The input, channels last.
        window: The walk.

    Returns:
        The program name of the input to read, and the walk over that one.
    """
    lengths = source.shape[1:-1]
    if not needs_explicit_pad(lengths, window):
        return source.name, window
    begins, ends = window.pads[: len(lengths)], window.pads[len(lengths) :]
    shape = tuple(n + b + e for n, b, e in zip(lengths, begins, ends, strict=True))
    name = call.sink.add_value(f"{source.name}_padded", source.dtype, (1, *shape, source.shape[-1]), source.exponents)
    pads = np.asarray([0, *begins, 0, 0, *ends, 0], np.int64)
    amounts = call.sink.add_constant(f"{name}_pads", pads, (0,), PLAIN)
    node_name = f"{call.node.name}_Pad"
    call.emit([source.name, amounts], [name], attributes={"mode": "constant"}, op_type="Pad", name=node_name)
    return name, replace(window, pads=(0,) * len(window.pads))


def write_conv(call: Lowering, source: str, weights: Array, window: Window, *, depthwise: bool) -> None:
    """Append the Conv node with its packed weights and its bias.

    Args:
        call: The float node being lowered: input 1 gives the weights' format and name, input 2 the bias.
        source: Program name of the input.
        weights: Integers (N, C/group, …spatial).
        window: The walk.
        depthwise: Whether group = C.
    """
    slot = call.slot(1)
    assert slot.format is not None
    block, spatial = call.target.linear[call.bits].block, weights.ndim - 2
    planes = weights if spatial == 2 else weights[:, :, None]
    packed = pack(planes, block, depthwise=depthwise).reshape(file_dims(weights.shape, depthwise=depthwise))
    doc = layout_doc(weights.shape[0], block, depthwise=depthwise, spatial=spatial)
    names = [source, call.sink.add_constant(slot.name, packed, slot.exponents, doc)]
    bias = call.inputs[2] if len(call.inputs) > 2 else None
    names += add_bias(call, bias, weights.shape[0], slot.format)
    attributes = {
        "activation": call.activation,
        "dilations": window.dilations,
        "group": weights.shape[0] if depthwise else 1,
        "kernel_shape": window.kernel,
        "pads": window.pads,
        "strides": window.strides,
    }
    call.emit(names, attributes=attributes, op_type="Conv")
