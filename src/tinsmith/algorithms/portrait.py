"""What equalization has to know of every value: one pass of the float model over a few samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinsmith.calibrate.session import Probe, Sample
from tinsmith.ops.floatnode import Array

MOST_SAMPLES = 16
ELEMENTS = 4096
"""Elements kept of one value from one sample."""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """What was seen of one value.

    Attributes:
        largest: Largest magnitude of each element over the samples, in the value's shape.
        highest: Largest element likewise (not its magnitude).
        lowest: Smallest element likewise.
        power: Mean square of each element.
        places: Flat indices of the elements that were kept.
        kept: Their values in each sample, (samples, places).
        first: The value in the first sample.
    """

    largest: NDArray[np.float32]
    highest: NDArray[np.float32]
    lowest: NDArray[np.float32]
    power: NDArray[np.float32]
    places: NDArray[np.int64]
    kept: NDArray[np.float32]
    first: NDArray[np.float32]


def portraits(model: ir.Model, values: Sequence[str], samples: Iterable[Sample]) -> dict[str, Portrait]:
    """Look at float values of a model.

    Args:
        model: The canonical float model.
        values: Names of float values: inputs or results of nodes.
        samples: At most so many that their portraits mean something; all of them are run.
    """
    makers: dict[str, _Maker] = {}
    with Probe(model, values, 1) as probe, closing(probe.run_all(samples)) as runs:
        for _, slot in runs:
            for name in values:
                array = slot.value(name)
                if name in makers:
                    makers[name].see(array)
                else:
                    makers[name] = _Maker(array)
    return {name: maker.finish() for name, maker in makers.items()}


class _Maker:
    def __init__(self, array: Array) -> None:
        self.first = array.copy()
        self.largest = np.abs(array)
        self.highest = array.copy()
        self.lowest = array.copy()
        self.squares = np.square(array)
        self.count = 1
        # An odd stride walks through all channels and positions of the usual shapes.
        stride = max(1, array.size // ELEMENTS) | 1
        self.places = np.arange(0, array.size, stride)
        self.kept = [array.reshape(-1)[self.places]]

    def see(self, array: Array) -> None:
        np.maximum(self.largest, np.abs(array), out=self.largest)
        np.maximum(self.highest, array, out=self.highest)
        np.minimum(self.lowest, array, out=self.lowest)
        self.squares += np.square(array)
        self.count += 1
        self.kept.append(array.reshape(-1)[self.places])

    def finish(self) -> Portrait:
        power = np.divide(self.squares, self.count, dtype=np.float32)
        kept = np.stack(self.kept)
        return Portrait(self.largest, self.highest, self.lowest, power, self.places, kept, self.first)


def float_values(network_values: Mapping[str, object], model: ir.Model) -> list[str]:
    """Those of the names that the model computes or takes."""
    known = {value.name for value in model.graph.inputs}
    known |= {output.name for node in model.graph for output in node.outputs}
    return [name for name in network_values if name in known]
