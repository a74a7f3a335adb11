"""A tensor as one side holds it, and the ways to lay one side's beside the other's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Literal

import numpy as np

from tinsmith.ops.layouts import Perm, channels_last, identity, inverse
from tinsmith.program import Array, DType

Order = Literal["file", "onnx", ""]
"""The order of axes: the .espdl file's, the float model's, or not known."""
GUESSED = "order of axes guessed from the values"
_MOST_AXES = 4
_FAR = 0.1
"""Share of the power beyond which a tensor is looked for in another order, and within which it is found there."""


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
        perm: Their transposition.
        squeezed: Whether it is that of the dimensions longer than 1; the others are put where the first has them.
        channels: The axis of channels in the first's order; None where there is none, or it is not known.
        note: What a reader should know about it.
    """

    perm: Perm
    squeezed: bool = False
    channels: int | None = None
    note: str = ""

    def __call__(self, array: Array, shape: Sequence[int]) -> Array:
        """The second's elements in the first's order and shape."""
        return (array.squeeze() if self.squeezed else array).transpose(self.perm).reshape(shape)


def aligned(first: Held, second: Held, distance: Callable[[Array, Array], float]) -> Alignment | None:
    """How to lay the second beside the first; None where their shapes do not fit.

    What the sides tell about their order of axes decides; else the usual orders, if one fits; else, of those that fit,
    the one in which the elements are closest.

    Args:
        first: A tensor.
        second: The other one.
        distance: How far two arrays of real numbers are apart.
    """
    shape = first.data.shape
    told = _told(first, second)
    usual = [perm for perm in _usual(shape) if _fits(perm, second, shape)]
    if told is not None and _fits(told, second, shape):
        usual = [told]
    elif usual[:1] == [identity(len(shape))] and first.order and first.order == second.order:
        return Alignment(usual[0])
    squeezed = not usual
    fitting = usual or _squeezed_perms(second.data.shape, shape)
    if not fitting:
        return None
    ways = [Alignment(perm, squeezed) for perm in fitting]
    best = _closest(ways, first, second, distance)
    if usual not in ([], [told]) and {first.order, second.order} == {"file", "onnx"}:
        best = _rescued(best, first, second, distance)
    expected = {first.order, second.order} == {"file", "onnx"} or best.perm == identity(len(best.perm))
    turned = "" if expected or best.squeezed else f"axes of the second in the order {list(best.perm)}"
    note = GUESSED if len(ways) > 1 or best not in ways else turned
    return replace(best, channels=None if best.squeezed else _channels(first, second, best.perm), note=note)


def _closest(
    ways: Sequence[Alignment], first: Held, second: Held, distance: Callable[[Array, Array], float]
) -> Alignment:
    if len(ways) == 1:
        return ways[0]
    ours, theirs = first.real, second.real
    return min(ways, key=lambda way: distance(ours, way(theirs, ours.shape)))


def _rescued(way: Alignment, first: Held, second: Held, distance: Callable[[Array, Array], float]) -> Alignment:
    """Another order where it is far closer: rewrites may give a name to a tensor whose axes they have exchanged."""
    ours, theirs = first.real, second.real
    noise = distance(ours, way(theirs, ours.shape))
    if noise < _FAR * distance(ours, np.zeros_like(ours)):
        return way
    others = [Alignment(perm, squeezed=True) for perm in _squeezed_perms(theirs.shape, ours.shape)]
    best = _closest(others, first, second, distance)
    return best if distance(ours, best(theirs, ours.shape)) < _FAR * noise else way


def _usual(shape: Sequence[int]) -> list[Perm]:
    """Orders that mostly lie between two sides, without repetition."""
    last = channels_last(len(shape))
    return list(dict.fromkeys((identity(len(shape)), last, inverse(last))))


def _fits(perm: Perm, held: Held, shape: Sequence[int]) -> bool:
    found = held.data.shape
    return len(perm) == len(found) and [found[axis] for axis in perm] == list(shape)


def _squeezed_perms(found: Sequence[int], wanted: Sequence[int]) -> list[Perm]:
    """Every order of the dimensions longer than 1 that fits, their own first."""
    ours, theirs = ([extent for extent in shape if extent != 1] for shape in (wanted, found))
    if sorted(ours) != sorted(theirs):
        return []
    if len(theirs) > _MOST_AXES:
        return [identity(len(theirs))] if ours == theirs else []
    return [perm for perm in permutations(range(len(theirs))) if [theirs[axis] for axis in perm] == ours]


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


def _channels(first: Held, second: Held, perm: Perm) -> int | None:
    """Where the first has the float model's axis 1."""
    if len(perm) < 2 or "onnx" not in (first.order, second.order):
        return None
    return 1 if first.order == "onnx" else perm.index(1)
