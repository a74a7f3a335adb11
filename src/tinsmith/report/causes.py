"""Why layers lose accuracy: each possible cause is taken out of the layer, and what noise is left is measured.

A layer's noise is what it alone does to the network's outputs, as in `tinsmith.report.layerwise`. If its output were
not rounded, how much would be left? If each channel had an exponent of its own? If the accumulator were wide enough? A
cause is what takes away at least `ENOUGH` of the noise when it is taken out; where nothing does, 8 bits are too few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tinsmith.cores import cores
from tinsmith.ops.floatnode import Array, Network
from tinsmith.report.commands import PLACES, Places
from tinsmith.report.diagnosis import Diagnosis
from tinsmith.report.insight.schema import Cause
from tinsmith.report.layer_error import LayerError, layers, reference
from tinsmith.report.mattering import fitted, mattering
from tinsmith.report.onward import Onward, macs_behind
from tinsmith.report.remedies import Remedies
from tinsmith.report.tensors import TensorStatistics
from tinsmith.report.variants import Run, variants
from tinsmith.report.views import Views
from tinsmith.report.whatif import Emulated, Variant, merged

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

WORK = 2e10
"""Multiply-accumulates that may be spent, roughly: decides how many samples are used."""
LEAST_SAMPLES = 2
MOST_SAMPLES = 8
LEAST_FOR_MEANS = 4
"""Samples from which the mean of a channel can be told from chance."""

Samples = Sequence[Mapping[str, Array]]
Progress = Callable[[int, int | None], None]


def causes(
    quantized: Quantized,
    accumulated: Sequence[LayerError],
    alone: Sequence[LayerError],
    statistics: TensorStatistics,
    samples: Samples = (),
    *,
    places: Places = PLACES,
    progress: Progress | None = None,
) -> dict[str, tuple[Cause, ...]]:
    """The causes of each layer that matters (`tinsmith.report.mattering.mattering`).

    Args:
        quantized: From `tinsmith.quantize`.
        accumulated: Of `tinsmith.report.graphwise.graphwise`.
        alone: Of `tinsmith.report.layerwise.layerwise`; may be empty.
        statistics: What was seen in the same pass as ``accumulated``.
        samples: Some of the analysed samples as the network takes them, `{input: array}`; a few are used. Without any,
            the first calibration sample.
        places: What commands call the files.
        progress: Called with layers done and in all.

    Returns:
        By the layer's name, the worst layer first: its causes, what matters most first; two at most. Empty where there
        is as good as no noise at the outputs.
    """
    worst = mattering(quantized, accumulated, alone)
    if not worst:
        return {}
    views = Views(quantized, statistics)
    found = _measured(quantized, views, list(worst), samples or [quantized.sample], progress)
    remedies = Remedies(quantized, places, calibrated=_calibrated(quantized, samples))
    diagnosis = Diagnosis(quantized, views, remedies, found)
    named = {name: diagnosis.causes(name) for name in worst}
    return {name: found for name, found in named.items() if found}


def _calibrated(quantized: Quantized, samples: Samples) -> bool:
    """Whether samples are the calibration's: their first is the same."""
    first = quantized.sample
    return bool(first) and (not samples or all(np.array_equal(samples[0][name], first[name]) for name in first))


def _measured(
    quantized: Quantized, views: Views, names: Sequence[str], samples: Samples, progress: Progress | None
) -> dict[Variant, float]:
    """The noise at the outputs that each variant of each layer leaves."""
    steps = {step.node.name: step for step in layers(quantized)}
    network, real = merged(reference(quantized), list(steps.values()))
    tuned = fitted(quantized)
    found: dict[Variant, float] = {}
    tried = {name: dict(variants(Emulated(quantized, steps[name], real[name]), quantized, views)) for name in names}
    count = _count(network, {name: len(some) for name, some in tried.items()})
    for done, (name, some) in enumerate(tried.items()):
        if progress is not None:
            progress(done, len(tried))
        axis = views.axis(steps[name].outputs[0].name)
        onward = Onward(network, name, axis, _spread(samples, count))
        found |= _left(onward, some, centred=tuned)
        if not tuned:
            found |= _without_means(found, name, some, Onward(network, name, axis, _spread(samples, LEAST_FOR_MEANS)))
    return found


def _left(onward: Onward, tried: Mapping[Variant, Run], *, centred: bool) -> dict[Variant, float]:
    with ThreadPoolExecutor(cores()) as pool:
        noise = pool.map(lambda run: onward.noise(run, centred=centred), tried.values())
        return dict(zip(tried, noise, strict=True))


def _without_means(
    found: Mapping[Variant, float], name: str, tried: Mapping[Variant, Run], onward: Onward
) -> dict[Variant, float]:
    """What is left of a layer's noise where biases take the mean of each channel's error away."""
    whole = Variant(name)
    if len(onward.clean) < LEAST_FOR_MEANS:
        return {}
    before, after = (onward.noise(tried[whole], centred=centred) for centred in (False, True))
    return {replace(whole, mechanism="centred"): found[whole] * after / max(before, 1e-30)}


def _spread(samples: Samples, most: int) -> Samples:
    """So many at most, from all over."""
    return samples[:: max(1, len(samples) // most)][:most]


def _count(network: Network, tried: Mapping[str, int]) -> int:
    """How many samples are worth their time."""
    work = sum(count * macs_behind(network, name) for name, count in tried.items())
    return int(np.clip(WORK / (work + 1), LEAST_SAMPLES, MOST_SAMPLES))
