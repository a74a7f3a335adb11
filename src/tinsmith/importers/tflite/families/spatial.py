"""Borders, blocks and sizes of pictures."""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.errors import UnsupportedError
from tinsmith.importers.tflite.families.slices import END
from tinsmith.importers.tflite.operation import Operation, operator

_SYMMETRIC = 1


@operator("PAD", "PADV2")
def pad(op: Operation) -> ir.Value:
    """With zeros, or the number of input 2."""
    return op.emit("Pad", op.value(), _pads(op, 1), *((op.value(2),) if 2 in op else ()))


def _pads(op: Operation, index: int) -> ir.Value:
    """From pairs (before, behind) to all before, all behind."""
    if op.is_constant(index):
        pairs = op.ints(index)
        return op.ints_of((*pairs[::2], *pairs[1::2]), "pads")
    turned = op.emit("Transpose", op.emit("Cast", op.value(index), to=ir.DataType.INT64), perm=(1, 0))
    return op.emit("Reshape", turned, op.ints_of((-1,), "list"))


@operator("CROP")
def crop(op: Operation) -> ir.Value:
    """Cuts off pairs (before, behind) from dimension 1 on: of `tinsmith.importers.tflite.dilation`, not of files."""
    pairs = op.ints(1)
    if not any(pairs):
        return op.emit("Identity", op.value())
    ends = [-cut if cut else END for cut in pairs[1::2]]
    axes = op.ints_of(range(1, 1 + len(ends)), "axes")
    return op.emit("Slice", op.value(), op.ints_of(pairs[::2], "starts"), op.ints_of(ends, "ends"), axes)


@operator("MIRROR_PAD")
def mirror_pad(op: Operation) -> ir.Value:
    """With what lies inside; the outermost elements are repeated where it is symmetric."""
    if op.option("Mode") != _SYMMETRIC:
        return op.emit("Pad", op.value(), _pads(op, 1), mode="reflect")
    value = op.value()
    for axis, (before, behind) in enumerate(zip(op.ints(1)[::2], op.ints(1)[1::2], strict=True)):
        if not before and not behind:
            continue
        size = op.tensor(0).signature[axis]
        if size < max(before, behind):
            raise UnsupportedError("the size of its input is not known.", hint="Convert the model with static shapes.")
        places = (*range(before - 1, -1, -1), *range(size), *range(size - 1, size - 1 - behind, -1))
        value = op.emit("Gather", value, op.ints_of(places, f"places_{axis}"), axis=axis)
    return value


@operator("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def resize(op: Operation) -> ir.Value:
    """To the rows and columns of input 1."""
    linear, aligned = op.kind == "RESIZE_BILINEAR", bool(op.option("AlignCorners", False))
    centers = bool(op.option("HalfPixelCenters", False))
    places = "align_corners" if aligned else "half_pixel" if centers else "asymmetric"
    rounding = {} if linear else {"nearest_mode": "round_prefer_ceil" if aligned or centers else "floor"}
    result = op.emit(
        "Resize",
        op.channels_first(op.value()),
        None,
        None,
        op.wide(1),
        mode="linear" if linear else "nearest",
        coordinate_transformation_mode=places,
        axes=(2, 3),
        **rounding,
    )
    return op.channels_last(result)


@operator("SPACE_TO_BATCH_ND")
def space_to_batch(op: Operation) -> ir.Value:
    """Every ``block``-th row and column, from each start, becomes a picture of its own; input 2 is a border."""
    block, borders = op.ints(1), op.ints(2)
    spatial, rest = len(block), op.rank() - len(block) - 1
    before = (0, *borders[::2], *(0,) * rest)
    behind = (0, *borders[1::2], *(0,) * rest)
    value = op.emit("Pad", op.value(), op.ints_of((*before, *behind), "pads")) if any(borders) else op.value()
    sizes = _sizes(op, range(1, 1 + spatial))
    inner = [(size + sum(borders[2 * i : 2 * i + 2])) // block[i] for i, size in enumerate(sizes)]
    channels = _sizes(op, range(1 + spatial, op.rank()))
    apart = [dim for pair in zip(inner, block, strict=True) for dim in pair]
    value = op.emit("Reshape", value, op.ints_of((-1, *apart, *channels), "apart"))
    places = range(1, 1 + 2 * spatial)
    perm = (*places[1::2], 0, *places[::2], *range(1 + 2 * spatial, 1 + 2 * spatial + rest))
    value = op.transpose(value, *perm)
    return op.emit("Reshape", value, op.ints_of((-1, *inner, *channels), "together"))


@operator("BATCH_TO_SPACE_ND")
def batch_to_space(op: Operation) -> ir.Value:
    """The way back; input 2 is cut off."""
    block, borders = op.ints(1), op.ints(2)
    spatial, rest = len(block), op.rank() - len(block) - 1
    sizes, channels = _sizes(op, range(1, 1 + spatial)), _sizes(op, range(1 + spatial, op.rank()))
    value = op.emit("Reshape", op.value(), op.ints_of((*block, -1, *sizes, *channels), "apart"))
    pairs = [axis for number in range(spatial) for axis in (spatial + 1 + number, number)]
    value = op.transpose(value, spatial, *pairs, *range(1 + 2 * spatial, 1 + 2 * spatial + rest))
    whole = [size * times for size, times in zip(sizes, block, strict=True)]
    value = op.emit("Reshape", value, op.ints_of((-1, *whole, *channels), "together"))
    if not any(borders):
        return value
    ends = [size - cut for size, cut in zip(whole, borders[1::2], strict=True)]
    axes = op.ints_of(range(1, 1 + spatial), "axes")
    return op.emit("Slice", value, op.ints_of(borders[::2], "starts"), op.ints_of(ends, "ends"), axes)


def _sizes(op: Operation, axes: range) -> list[int]:
    sizes = [op.tensor(0).signature[axis] for axis in axes]
    if -1 in sizes:
        raise UnsupportedError("the size of its input is not known.", hint="Convert the model with static shapes.")
    return sizes
