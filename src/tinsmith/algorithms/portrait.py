"""What equalization has to know of every value: one pass of the float model over a few samples."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinsmith.calibrate.session import Probe, Sample
from tinsmith.ops.floatnode import Array

ELEMENTS = 98304
"""Elements kept of one value from all samples."""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """What was seen of one value.

    Attributes:
        highest: The largest each element was over the samples, in the value's shape.
        lowest: The smallest likewise.
        mean: Mean of each element.
        power: Mean square of each element.
        peaks: The largest element of each channel (axis 1; of the whole value where it has fewer axes) in each sample,
            (samples, channels).
        places: Flat indices of the elements that were kept.
        kept: Their values in each sample, (samples, places).
        first: The value in the first sample.
    """

    highest: NDArray[np.float32]
    lowest: NDArray[np.float32]
    mean: NDArray[np.float32]
    power: NDArray[np.float32]
    peaks: NDArray[np.float32]
    places: NDArray[np.int64]
    kept: NDArray[np.float32]
    first: NDArray[np.float32]

    @property
    def largest(self) -> NDArray[np.float32]:
        """Largest magnitude of each element over the samples."""
        found: NDArray[np.float32] = np.maximum(self.highest, -self.lowest)
        return found


def portraits(model: ir.Model, values: Sequence[str], samples: Sequence[Sample]) -> dict[str, Portrait]:
    """Look at float values of a model.

    Args:
        model: The canonical float model.
        values: Names of float values: inputs or results of nodes.
        samples: All of them are run.
    """
    makers: dict[str, _Maker] = {}
    elements = ELEMENTS // max(len(samples), 1)
    with Probe(model, values, 1) as probe, closing(probe.run_all(samples)) as runs:
        for _, slot in runs:
            for name in values:
                array = slot.value(name)
                if name in makers:
                    makers[name].see(array)
                else:
                    makers[name] = _Maker(array, elements)
    return {name: maker.finish() for name, maker in makers.items()}


class _Maker:
    def __init__(self, array: Array, elements: int) -> None:
        self.first = array.copy()
        self.highest = array.copy()
        self.lowest = array.copy()
        self.total = array.copy()
        self.squares = np.square(array)
        self.peaks = [_peaks(array)]
        self.count = 1
        # An odd stride walks through all channels and positions of the usual shapes.
        stride = max(1, array.size // max(elements, 1)) | 1
        self.places = np.arange(0, array.size, stride)
        self.kept = [array.reshape(-1)[self.places]]

    def see(self, array: Array) -> None:
        np.maximum(self.highest, array, out=self.highest)
        np.minimum(self.lowest, array, out=self.lowest)
        self.total += array
        self.squares += np.square(array)
        self.peaks.append(_peaks(array))
        self.count += 1
        self.kept.append(array.reshape(-1)[self.places])

    def finish(self) -> Portrait:
        mean, power = (np.divide(sums, self.count, dtype=np.float32) for sums in (self.total, self.squares))
        peaks, kept = np.stack(self.peaks), np.stack(self.kept)
        return Portrait(self.highest, self.lowest, mean, power, peaks, self.places, kept, self.first)


def _peaks(array: Array) -> Array:
    if array.ndim < 2:
        return np.asarray([array.max(initial=-np.inf)])
    found: Array = array.max(axis=tuple(axis for axis in range(array.ndim) if axis != 1))
    return found
