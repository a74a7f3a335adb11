"""A network, analysed as a report does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinsmith.ops.floatnode import Array
from tinsmith.quantized import Quantized
from tinsmith.report.causes import causes
from tinsmith.report.commands import PLACES, Places
from tinsmith.report.graphwise import graphwise
from tinsmith.report.insight.schema import Cause
from tinsmith.report.layer_error import LayerError, opened
from tinsmith.report.layerwise import layerwise
from tinsmith.report.tensors import TensorStatistics


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """What an analysis finds."""

    accumulated: tuple[LayerError, ...]
    alone: tuple[LayerError, ...]
    statistics: TensorStatistics
    samples: Sequence[Mapping[str, Array]]
    causes: Mapping[str, tuple[Cause, ...]]

    def kinds(self) -> dict[str, str]:
        """The first cause of each layer."""
        return {layer: found[0].kind for layer, found in self.causes.items()}


def examined(quantized: Quantized, data: NDArray[np.float32], places: Places = PLACES) -> Examined:
    statistics = TensorStatistics(quantized)
    accumulated = graphwise(quantized, data, look=statistics.look)
    alone = layerwise(quantized, data)
    samples = list(opened(quantized, data, 8))
    found = causes(quantized, accumulated, alone, statistics, samples, places=places)
    return Examined(accumulated, alone, statistics, samples, found)
