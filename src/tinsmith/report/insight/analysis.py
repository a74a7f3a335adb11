"""The part of an insight that needs data: noise, histograms, causes, and the network's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isnan, prod
from typing import TYPE_CHECKING, Any

from tinsmith.algorithms.draft import Progress
from tinsmith.calibrate.spread import Spread
from tinsmith.recipe.parts import Preprocessing
from tinsmith.report.actions import actions
from tinsmith.report.causes import causes
from tinsmith.report.commands import Places
from tinsmith.report.evaluate import evaluate
from tinsmith.report.extremes import extremes
from tinsmith.report.fidelity import Fidelity
from tinsmith.report.graphwise import graphwise
from tinsmith.report.insight.schema import Action, Cause, Histogram, Noise, Output
from tinsmith.report.layer_error import LayerError, opened
from tinsmith.report.layerwise import layerwise
from tinsmith.report.tensors import TensorStatistics

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized


@dataclass(frozen=True, slots=True)
class Analysis:
    """What running some samples both ways tells.

    Attributes:
        samples: How many were run.
        accumulated: Noise at each layer's output with all layers before it, by layer.
        alone: Noise at the network's outputs if the layer alone were quantized, by layer.
        histograms: What the layers' outputs hold, by value.
        causes: Why layers lose accuracy, by layer.
        outputs: The network's outputs beside the float network's.
        actions: What to do about it, the most promising first.
    """

    samples: int
    accumulated: tuple[LayerError, ...]
    alone: tuple[LayerError, ...]
    histograms: Mapping[str, Histogram]
    causes: Mapping[str, tuple[Cause, ...]]
    outputs: tuple[Output, ...]
    actions: tuple[Action, ...]


def analyse(quantized: Quantized, data: Any, samples: int, places: Places, progress: Progress) -> Analysis:
    """Run samples as the chip would and in floats.

    Args:
        quantized: The network.
        data: Samples as `tinsmith.quantize` takes them; the recipe's preprocessing applies.
        samples: How many to look at, at most; they are spread over the data.
        places: What the commands to copy call the files.
        progress: Called with a stage's name, how far it is, and how far it goes.

    Raises:
        DataError: The data cannot be read, or a sample does not fit the model.
    """
    quantized, chosen = _prepared(quantized, data, samples)
    statistics = TensorStatistics(quantized)
    accumulated = graphwise(
        quantized,
        chosen,
        look=statistics.look,
        progress=lambda done, total: progress("compare with float", done, total),
    )
    statistics.reach(extremes(quantized, chosen, statistics.axis))
    alone = layerwise(quantized, chosen, progress=lambda done, total: progress("layer by layer", done, total))
    outputs = _at_the_outputs(quantized, chosen, progress)
    found = causes(
        quantized,
        accumulated,
        alone,
        statistics,
        chosen,
        places=places,
        progress=lambda done, total: progress("find causes", done, total),
    )
    progress("try remedies", 0, None)
    steps = actions(quantized, accumulated, alone, found, chosen, places=places)
    return Analysis(len(chosen), accumulated, alone, statistics.histograms(), found, outputs, steps)


def noise_of(error: LayerError) -> Noise:
    """The figures of a layer as the report has them."""
    return _noise(error.noise, error.snr_db, error.cosine, error.mse)


def _prepared(quantized: Quantized, data: Any, samples: int) -> tuple[Quantized, list[dict[str, Any]]]:
    """Some of the samples, as the network takes them, and the network without what was done to them already."""
    spread = Spread(opened(quantized, data, None), samples)
    for _ in spread:
        pass
    plain = quantized.recipe.model_copy(update={"preprocessing": Preprocessing()})
    return replace(quantized, recipe=plain), spread.samples


def _at_the_outputs(
    quantized: Quantized, samples: Sequence[Mapping[str, Any]], progress: Progress
) -> tuple[Output, ...]:
    found = evaluate(
        quantized.program,
        samples,
        float_model=quantized.model,
        target=quantized.target,
        progress=lambda done, total: progress("compare outputs", done, total),
    )
    shapes = {value.name: value.shape for value in quantized.program.outputs}
    answering = next((name for name in found.outputs if 1 < prod(shapes[name]) == max(shapes[name])), None)
    return tuple(
        Output(name, _noise_at(fidelity), found.agreement if name == answering else None)
        for name, fidelity in found.outputs.items()
    )


def _noise_at(fidelity: Fidelity) -> Noise:
    ratio = 10 ** (-fidelity.snr_db / 10) if fidelity.snr_db > -inf else inf
    return _noise(ratio, fidelity.snr_db, fidelity.cosine, fidelity.mse)


def _noise(ratio: float, snr_db: float, cosine: float, mse: float) -> Noise:
    """Figures that may be no numbers: those are as bad as can be."""
    if isnan(ratio) or isnan(snr_db):
        ratio, snr_db = inf, -inf
    return Noise(ratio, None if snr_db == inf else snr_db, cosine, mse)
