"""Gives convolutions and pools all their window attributes: kernel_shape, strides, dilations, pads, group.

auto_pad (VALID, SAME_UPPER, SAME_LOWER) is resolved for the static shape, and so is ConvTranspose's output_shape. Same
computation by the operators' definitions.
"""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.graph.edit import Attribute, each, get_int, get_ints, get_string, present, set_attributes, shape_of

_KINDS = ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, _KINDS, _write_out)


def _write_out(node: ir.Node) -> bool:
    spatial = shape_of(present(node, 0))[2:]
    rank = len(spatial)
    ones = (1,) * rank
    convolves = node.op_type in ("Conv", "ConvTranspose")
    kernel = get_ints(node, "kernel_shape", shape_of(present(node, 1))[2:] if convolves else ones)
    strides, dilations = get_ints(node, "strides", ones), get_ints(node, "dilations", ones)
    dilations = tuple(d if k > 1 else 1 for d, k in zip(dilations, kernel, strict=True))
    full = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True))
    wanted: dict[str, Attribute | None] = {
        "kernel_shape": kernel,
        "strides": strides,
        "dilations": dilations,
        "auto_pad": None,
    }
    if convolves:
        wanted["group"] = get_int(node, "group", 1)
    if node.op_type == "ConvTranspose":
        wanted |= _transposed(node, spatial, full, strides)
    else:
        wanted["pads"] = _pads(node, spatial, full, strides)
    return set_attributes(node, wanted)


def _pads(node: ir.Node, spatial: tuple[int, ...], full: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    mode = get_string(node, "auto_pad", "NOTSET")
    if mode in ("NOTSET", ""):
        return tuple(get_ints(node, "pads", (0,) * (2 * len(spatial))))
    if mode == "VALID":
        return (0,) * (2 * len(spatial))
    needed = [
        max(0, (-(-size // stride) - 1) * stride + window - size)
        for size, window, stride in zip(spatial, full, strides, strict=True)
    ]
    return _share(needed, upper=mode == "SAME_UPPER")


def _share(total: list[int], *, upper: bool) -> tuple[int, ...]:
    """Halves of the padding before and after; the odd element behind where ``upper``, else in front."""
    less, more = tuple(pad // 2 for pad in total), tuple(pad - pad // 2 for pad in total)
    return less + more if upper else more + less


def _transposed(
    node: ir.Node, spatial: tuple[int, ...], full: tuple[int, ...], strides: tuple[int, ...]
) -> dict[str, Attribute | None]:
    """Pads of a transposed convolution, which cut the output: from what the window would cover and the output has."""
    result = shape_of(node.outputs[0])[2:]
    extra = tuple(get_ints(node, "output_padding", (0,) * len(spatial)))
    mode = get_string(node, "auto_pad", "NOTSET")
    wanted: dict[str, Attribute | None] = {"output_padding": extra, "output_shape": None}
    if mode in ("NOTSET", "", "VALID") and not get_ints(node, "output_shape", ()):
        given = (0,) * (2 * len(spatial)) if mode == "VALID" else get_ints(node, "pads", (0,) * (2 * len(spatial)))
        return wanted | {"pads": tuple(given)}
    total = [
        stride * (size - 1) + more + window - out
        for size, window, stride, more, out in zip(spatial, full, strides, extra, result, strict=True)
    ]
    # An output larger than the window reaches is padded behind it.
    wanted["output_padding"] = tuple(more + max(0, -pad) for more, pad in zip(extra, total, strict=True))
    return wanted | {"pads": _share([max(0, pad) for pad in total], upper=mode == "SAME_UPPER")}
