"""A tensor as one side holds it, and the ways to lay one side's beside the other's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tinsmith.ops.layouts import Perm, channels_last, identity, inverse
from tinsmith.program import Array, DType

Order = Literal["file", "onnx", ""]
"""The order of axes: the .espdl file's, the float model's, or not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """One tensor of one sample.

    Attributes:
        data: Its elements.
        exponent: Of integers that stand for real numbers; None where elements mean what they say.
        order: Of its axes.
        perm: ``file_shape[i] = onnx_shape[perm[i]]`` where the program tells it.
    """

    data: Array
    exponent: int | None = None
    order: Order = ""
    perm: Perm | None = None

    @property
    def real(self) -> Array:
        """Real numbers, a new float64 array."""
        exact = self.data.astype(np.float64)
        if self.exponent is not None:
            exact *= 2.0**self.exponent
        return exact

    @property
    def form(self) -> str:
        """Type and step, for people."""
        return self.data.dtype.name if self.exponent is None else f"{self.data.dtype.name} · 2^{self.exponent}"


def stands_for_reals(dtype: np.dtype[np.generic]) -> bool:
    """Whether elements of this type need an exponent."""
    return dtype in (DType.INT8.numpy, DType.INT16.numpy)


@dataclass(frozen=True, slots=True)
class Alignment:
    """How the second's elements come into the first's order.

    Attributes:
        perm: Their transposition; None where only dimensions of length 1 are put in or left out.
        channels: The axis of channels in the first's order; None where there is none, or it is not known.
        note: What a reader should know about it.
    """

    perm: Perm | None
    channels: int | None = None
    note: str = ""

    def __call__(self, array: Array, shape: Sequence[int]) -> Array:
        """The second's elements in the first's order and shape."""
        return (array if self.perm is None else array.transpose(self.perm)).reshape(shape)


def aligned(first: Held, second: Held, distance: Callable[[Array, Array], float]) -> Alignment | None:
    """How to lay the second beside the first; None where their shapes do not fit.

    What the sides tell about their order of axes decides; where they do not and several orders fit, the one in which
    the elements are closest.

    Args:
        first: A tensor.
        second: The other one.
        distance: How far two arrays of real numbers are apart.
    """
    shape, rank = first.data.shape, first.data.ndim
    if second.data.ndim != rank:
        return Alignment(None) if _squeezed(shape) == _squeezed(second.data.shape) else None
    fitting = [perm for perm in _perms(rank) if _turned(second.data.shape, perm) == shape]
    if not fitting:
        return Alignment(None) if _squeezed(shape) == _squeezed(second.data.shape) else None
    told = _told(first, second)
    if told in fitting:
        return _alignment(first, second, told, "")
    if first.order and first.order == second.order and fitting[0] == identity(rank):
        return Alignment(identity(rank))
    theirs = second.real
    best = min(fitting, key=lambda perm: distance(first.real, theirs.transpose(perm)))
    expected = {first.order, second.order} == {"file", "onnx"}
    guessed = "order of axes guessed from the values" if len(fitting) > 1 else ""
    turned = "" if expected or best == identity(rank) else f"axes of the second in the order {list(best)}"
    return _alignment(first, second, best, guessed or turned)


def _perms(rank: int) -> list[Perm]:
    """Orders that may lie between two sides, without repetition."""
    last = channels_last(rank)
    return list(dict.fromkeys((identity(rank), last, inverse(last))))


def _turned(shape: Sequence[int], perm: Perm) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in perm)


def _squeezed(shape: Sequence[int]) -> list[int]:
    return [extent for extent in shape if extent != 1]


def _told(first: Held, second: Held) -> Perm | None:
    """The perm from the second's order to the first's, where both say what theirs is."""
    if second.order == "onnx" and first.perm is not None:
        return first.perm
    if first.order == "onnx" and second.perm is not None:
        return inverse(second.perm)
    if first.perm is not None and second.perm is not None:
        back = inverse(second.perm)
        return tuple(back[axis] for axis in first.perm) if len(back) == len(first.perm) else None
    return None


def _alignment(first: Held, second: Held, perm: Perm, note: str) -> Alignment:
    axis = None
    if len(perm) > 1 and "onnx" in (first.order, second.order):
        axis = 1 if first.order == "onnx" else perm.index(1)
    return Alignment(perm, axis, note)
