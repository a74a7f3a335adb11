"""Tensors and channels that are larger or smaller than in the float model: the same function, other numbers inside.

Rewrites may move a factor of a whole tensor from one layer to another, such as attention's 1 / √d.

A program whose channels were equalized holds each channel of an inner tensor times a factor that the float model does
not know. The factor that fits best is taken where it explains at least half of what differs. Tensors with few
elements in a channel, such as those behind a global pool, have the factors of what they were computed from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tinsmith.program import Array
from tinsmith.report.compare.held import Alignment, Held

_FEWEST = 16
"""Elements of a channel, over all samples, that its factor may be told from."""
_GAIN = 0.5
"""Largest share of the noise that may be left."""
_WHOLE = 0.05
"""The same of one factor for all channels."""
_CLEAR = 0.25
"""Largest share of the first's power that one factor for all may leave: else values were cut off, not scaled."""


@dataclass(slots=True)
class ChannelSums:
    """Running sums of each channel of one tensor, laid out as the first has it."""

    axis: int
    shape: tuple[int, ...]
    count: int = 0
    ours: Array | float = 0.0
    theirs: Array | float = 0.0
    product: Array | float = 0.0

    @classmethod
    def of(cls, first: Held, alignment: Alignment) -> ChannelSums | None:
        """None where the tensor has no channels."""
        axis, shape = alignment.channels, first.data.shape
        if axis is None or shape[axis] < 2:
            return None
        return cls(axis, tuple(extent if place == axis else 1 for place, extent in enumerate(shape)))

    def add(self, ours: Array, theirs: Array) -> None:
        """Take in one sample."""
        rows = [np.moveaxis(array, self.axis, 0).reshape(array.shape[self.axis], -1) for array in (ours, theirs)]
        self.count += rows[0].shape[1]
        for name, one, other in (("ours", 0, 0), ("theirs", 1, 1), ("product", 0, 1)):
            setattr(self, name, getattr(self, name) + np.einsum("ij,ij->i", rows[one], rows[other]))

    def factors(self, inherited: Iterable[Array], *, channels: bool) -> Array | None:
        """What the second's channels are multiplied by, to be broadcast; None where that would not explain much.

        Args:
            inherited: Factors of the tensors it was computed from.
            channels: Whether channels may have factors of their own; else one for all.
        """
        ours, theirs, product = (np.asarray(part, np.float64) for part in (self.ours, self.theirs, self.product))
        plain = float((ours - 2 * product + theirs).sum())

        def left(given: Array) -> float:
            return float((ours - 2 * given * product + given**2 * theirs).sum())

        whole = np.full_like(ours, product.sum() / theirs.sum() if theirs.sum() > 0 and product.sum() > 0 else 1.0)
        if left(whole) < min(_WHOLE * plain, _CLEAR * float(ours.sum())):
            return whole.reshape(self.shape)
        candidates = [flat for given in inherited if (flat := given.reshape(-1)).shape == ours.shape]
        if self.count >= _FEWEST:
            with np.errstate(divide="ignore", invalid="ignore"):
                fitted = product / theirs
            candidates.insert(0, np.where((theirs > 0) & (fitted > 0), fitted, 1.0))
        best = min(candidates, key=left, default=None) if channels else None
        return best.reshape(self.shape) if best is not None and left(best) < _GAIN * plain else None
