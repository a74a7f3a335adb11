"""The walk of a pooling window over the spatial dimensions, and the shapes the runtime walks wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinsmith.ops.call import Array, Call
from tinsmith.ops.floatnode import FloatNode


@dataclass(frozen=True, slots=True)
class Walk:
    """One entry per spatial dimension: window length, stride, and padding before and after."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    begins: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def area(self) -> int:
        """Elements of a whole window."""
        return int(np.prod(self.kernel, dtype=np.int64))

    @property
    def pads(self) -> tuple[int, ...]:
        """Padding as attributes have it: all begins, then all ends."""
        return (*self.begins, *self.ends)

    def outputs(self, lengths: Sequence[int]) -> tuple[int, ...]:
        """Windows along each dimension of those lengths.

        Raises:
            ValueError: Not one fits.
        """
        found = tuple(
            (n + b + e - k) // s + 1
            for n, b, e, k, s in zip(lengths, self.begins, self.ends, self.kernel, self.strides, strict=True)
        )
        if min(found) < 1:
            raise ValueError(f"a window of {self.kernel} does not fit into {tuple(lengths)} elements")
        return found


def program_walk(call: Call) -> Walk:
    """The walk that a program node's attributes describe; the runtime reads neither `ceil_mode` nor `dilations`.

    Raises:
        ValueError: The attributes do not belong to the input's rank.
    """
    spatial = call.arg(0).data.ndim - 2
    kernel = call.attr("kernel_shape", ())
    strides = call.attr("strides", (1,) * spatial)
    pads = call.attr("pads", (0,) * (2 * spatial))
    if not len(kernel) == len(strides) == spatial or len(pads) != 2 * spatial or min(strides, default=0) < 1:
        raise ValueError(f"kernel {kernel}, strides {strides} and pads {pads} do not fit {spatial} dimensions")
    return Walk(kernel, strides, pads[:spatial], pads[spatial:])


def declared_walk(node: FloatNode) -> Walk:
    """The walk a float node declares, `auto_pad` resolved."""
    kernel = node.integers("kernel_shape", ())
    strides = node.integers("strides", (1,) * len(kernel))
    auto = node.text("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID"):
        pads = node.integers("pads", (0,) * (2 * len(kernel))) if auto == "NOTSET" else (0,) * (2 * len(kernel))
        return Walk(kernel, strides, pads[: len(kernel)], pads[len(kernel) :])
    lengths = node.input(0).shape[2:]
    totals = [max(0, (-(-n // s) - 1) * s + k - n) for n, s, k in zip(lengths, strides, kernel, strict=True)]
    small = tuple(total // 2 for total in totals)
    large = tuple(total - total // 2 for total in totals)
    return Walk(kernel, strides, small, large) if auto == "SAME_UPPER" else Walk(kernel, strides, large, small)


def float_walk(node: FloatNode) -> Walk:
    """The walk that gives a float node's output shape without `ceil_mode`: more padding at the end stands for it."""
    declared = declared_walk(node)
    needed = (
        (out - 1) * s + k - n - b
        for out, n, s, k, b in zip(
            node.outputs[0].shape[2:],
            node.input(0).shape[2:],
            declared.strides,
            declared.kernel,
            declared.begins,
            strict=True,
        )
    )
    return replace(declared, ends=tuple(max(e, more) for e, more in zip(declared.ends, needed, strict=True)))


def trouble(lengths: Sequence[int], walk: Walk) -> str | None:
    """What the kernels get wrong about this shape, or None (arithmetic §2.3)."""
    for n, k, s, b, out in zip(lengths, walk.kernel, walk.strides, walk.begins, walk.outputs(lengths), strict=True):
        starts = [i * s - b for i in range(out)]
        if any(start + k <= 0 or start >= n for start in starts):
            return f"a window of {k} with padding {b} lies beside all {n} elements"
        if any(start < 0 and start + k > n for start in starts):
            return f"a window of {k} sticks out on both sides of {n} elements"
        if s >= 2 and -s < n + b - k < 0:
            return f"a window of {k} with stride {s} is longer than {n} elements and the padding before them"
    return None


def windows(x: Array, walk: Walk, fill: float) -> Array:
    """All windows of ``x`` (N, spatial…, C), padded with ``fill``: (N, outputs…, C, kernel…)."""
    spatial = range(1, x.ndim - 1)
    outputs = walk.outputs(x.shape[1:-1])
    pads, crop = [(0, 0)], [slice(None)]
    for axis, out in zip(spatial, outputs, strict=True):
        begin, last = walk.begins[axis - 1], (out - 1) * walk.strides[axis - 1] + walk.kernel[axis - 1]
        pads.append((begin, max(0, last - begin - x.shape[axis])))
        crop.append(slice(0, last))
    padded = np.pad(x, [*pads, (0, 0)], constant_values=fill)[(*crop, slice(None))]
    view = np.lib.stride_tricks.sliding_window_view(padded, walk.kernel, axis=tuple(spatial))
    result: Array = view[(slice(None), *(slice(None, None, s) for s in walk.strides))]
    return result
