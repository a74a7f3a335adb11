"""The windows of MaxPool and AveragePool along one dimension, as ONNX defines them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinsmith.graph.edit import add_constant, get_ints, graph_of, insert, present, shape_of
from tinsmith.ops.windows import Walk, trouble

Index = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Windows:
    """The walk of a pool along one dimension.

    Attributes:
        length: Elements in.
        outputs: Windows.
        kernel: Taps of a window.
        stride: Elements from one window to the next.
        dilation: Elements from one tap to the next.
        begin: Padding before the first element.
        end: Padding behind the last; more than declared where the last window needs it (`ceil_mode`).
    """

    length: int
    outputs: int
    kernel: int
    stride: int
    dilation: int
    begin: int
    end: int

    @property
    def taps(self) -> Index:
        """The positions a window reads, (outputs, kernel); the first element is at 0, padding outside the input."""
        starts = np.arange(self.outputs) * self.stride - self.begin
        return np.asarray(starts[:, None] + np.arange(self.kernel) * self.dilation)

    @property
    def real(self) -> Mask:
        """Which taps are elements of the input, (outputs, kernel)."""
        return np.asarray((self.taps >= 0) & (self.taps < self.length))

    @property
    def troublesome(self) -> bool:
        """Whether the runtime's pools get this walk wrong."""
        if self.dilation > 1:
            return True
        walk = Walk((self.kernel,), (self.stride,), (self.begin,), (self.end,))
        return trouble((self.length,), walk) is not None

    @property
    def phase(self) -> int | None:
        """Where a step of `dilation` meets all taps of all windows, None where no step does."""
        if self.stride % self.dilation and self.outputs > 1:
            return None
        return -self.begin % self.dilation

    def thinned(self) -> Windows:
        """The same walk over every `dilation`-th element, from `phase` on."""
        assert self.phase is not None
        length = -(-(self.length - self.phase) // self.dilation)
        stride = max(1, self.stride // self.dilation)
        begin = (self.begin + self.phase) // self.dilation
        end = max(0, (self.outputs - 1) * stride + self.kernel - length - begin)
        return replace(self, length=length, stride=stride, dilation=1, begin=begin, end=end)

    def gathered(self) -> Windows:
        """The walk over the taps of all windows, one window behind the other."""
        length = self.outputs * self.kernel
        return replace(self, length=length, stride=self.kernel, dilation=1, begin=0, end=0)


def windows_of(node: ir.Node) -> tuple[Windows, ...]:
    """The walk along each spatial dimension of a pool with explicit attributes (`passes.windows`)."""
    lengths, outputs = shape_of(present(node, 0))[2:], shape_of(node.outputs[0])[2:]
    ones, count = (1,) * len(lengths), len(lengths)
    kernel, strides = get_ints(node, "kernel_shape", ones), get_ints(node, "strides", ones)
    dilations, pads = get_ints(node, "dilations", ones), get_ints(node, "pads", (0,) * (2 * count))
    found = []
    for n, out, k, s, d, b, e in zip(
        lengths, outputs, kernel, strides, dilations, pads[:count], pads[count:], strict=True
    ):
        needed = (out - 1) * s + d * (k - 1) + 1 - n - b
        found.append(Windows(n, out, k, s, d, b, max(e, needed)))
    return tuple(found)


def declared_ends(node: ir.Node) -> tuple[int, ...]:
    """Padding behind, as the node declares it."""
    count = len(shape_of(present(node, 0))) - 2
    return get_ints(node, "pads", (0,) * (2 * count))[count:]


def is_explicit(node: ir.Node) -> bool:
    """Whether `passes.windows` has written all attributes out, for one or two dimensions."""
    return "auto_pad" not in node.attributes and len(shape_of(present(node, 0))) in (3, 4)


def pool_attributes(walks: tuple[Windows, ...]) -> dict[str, Any]:
    """The attributes of a pool with these windows, which are not dilated."""
    return {
        "kernel_shape": tuple(walk.kernel for walk in walks),
        "strides": tuple(walk.stride for walk in walks),
        "dilations": (1,) * len(walks),
        "pads": (*(walk.begin for walk in walks), *(walk.end for walk in walks)),
    }


def thin(node: ir.Node, value: ir.Value, walks: tuple[Windows, ...]) -> tuple[ir.Value, tuple[Windows, ...]]:
    """Every `dilation`-th element along the dimensions where that is all that windows read: a Slice in front."""
    chosen = [axis for axis, walk in enumerate(walks) if walk.dilation > 1 and walk.phase is not None]
    if not chosen:
        return value, walks
    thinned = tuple(walk.thinned() if axis in chosen else walk for axis, walk in enumerate(walks))
    shape = list(shape_of(value))
    columns: list[list[int]] = [[], [], [], []]
    for axis in chosen:
        shape[axis + 2] = thinned[axis].length
        row = (walks[axis].phase or 0, walks[axis].length, axis + 2, walks[axis].dilation)
        for column, number in zip(columns, row, strict=True):
            column.append(number)
    bounds = [add_constant(graph_of(node), np.array(column, np.int64), f"{node.name}.thin") for column in columns]
    return insert(node, "Slice", [value, *bounds], shape, name=f"{node.name}.thin"), thinned


def gather(node: ir.Node, value: ir.Value, axis: int, indices: Index) -> ir.Value:
    """Elements along a spatial dimension."""
    shape = list(shape_of(value))
    shape[axis + 2] = indices.size
    where = add_constant(graph_of(node), indices.reshape(-1).astype(np.int64), f"{node.name}.taps")
    return insert(node, "Gather", [value, where], shape, {"axis": axis + 2}, name=f"{node.name}.windows")


def pad(node: ir.Node, value: ir.Value, walks: tuple[Windows, ...], mode: str) -> ir.Value:
    """The padding of these walks as a node of its own."""
    amounts = (0, 0, *(walk.begin for walk in walks), 0, 0, *(walk.end for walk in walks))
    shape = list(shape_of(value))
    for axis, walk in enumerate(walks):
        shape[axis + 2] += walk.begin + walk.end
    given = add_constant(graph_of(node), np.array(amounts, np.int64), f"{node.name}.pads")
    return insert(node, "Pad", [value, given], shape, {"mode": mode}, name=f"{node.name}.padded")


def padded(walk: Windows) -> Windows:
    """The walk over the input with its padding in it."""
    return replace(walk, length=walk.length + walk.begin + walk.end, begin=0, end=0)
