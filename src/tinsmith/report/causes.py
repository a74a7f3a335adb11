"""Why layers lose accuracy: each possible cause is taken out of the layer, and what noise is left is measured.

A layer's noise is what it alone does to the network's outputs, as in `tinsmith.report.layerwise`. If its output were
not rounded, how much would be left? If each channel had an exponent of its own? If the accumulator were wide enough? A
cause is what takes away at least `ENOUGH` of the noise when it is taken out; where nothing does, 8 bits are too few.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from tinsmith.algorithms.carry import Carrier, Place
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, Network
from tinsmith.report.commands import PLACES, Places
from tinsmith.report.diagnosis import Diagnosis
from tinsmith.report.insight.schema import Cause
from tinsmith.report.layer_error import LayerError, layers, reference
from tinsmith.report.mattering import mattering
from tinsmith.report.remedies import Remedies
from tinsmith.report.tensors import TensorStatistics
from tinsmith.report.variants import Run, variants
from tinsmith.report.views import Views
from tinsmith.report.whatif import Emulated, Variant, merged

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

WORK = 3e10
"""Multiply-accumulates that may be spent, roughly: decides how many samples are used."""
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
    remedies = Remedies(quantized, places)
    diagnosis = Diagnosis(quantized, views, remedies, found)
    named = {name: diagnosis.causes(name) for name in worst}
    return {name: found for name, found in named.items() if found}


def _measured(
    quantized: Quantized,
    views: Views,
    names: Sequence[str],
    samples: Samples,
    progress: Progress | None,
) -> dict[Variant, float]:
    """The noise at the outputs that each variant of each layer leaves."""
    steps = {step.node.name: step for step in layers(quantized)}
    network, real = merged(reference(quantized), list(steps.values()))
    tried = {
        variant: run
        for name in names
        for variant, run in variants(Emulated(quantized, steps[name], real[name]), quantized, views)
    }
    some = samples[:: max(1, len(samples) // _count(network, len(tried)))][: _count(network, len(tried))]
    fitted = reference(quantized) is not quantized.network and _differ(reference(quantized), quantized.network)
    found = _carried(quantized, network, tried, some, corrected=fitted, progress=progress)
    if not fitted and len(some) >= LEAST_FOR_MEANS:
        plain = {variant: run for variant, run in tried.items() if variant.part == "all"}
        centred = _carried(quantized, network, plain, some, corrected=True)
        found |= {Variant(variant.layer, "all", "centred"): noise for variant, noise in centred.items()}
    return found


def _differ(real: Network, tuned: Network) -> bool:
    """Whether weights or biases were fitted to the data."""
    return any(node is not other for node, other in zip(real.nodes, tuned.nodes, strict=True))


def _count(network: Network, tried: int) -> int:
    macs = sum(operators()[node.op_type].cost(node).macs for node in network.nodes)
    return int(np.clip(WORK / (macs * max(tried, 1) / 2 + 1), 1, MOST_SAMPLES))


def _carried(
    quantized: Quantized,
    network: Network,
    tried: Mapping[Variant, Run],
    samples: Samples,
    *,
    corrected: bool,
    progress: Progress | None = None,
) -> dict[Variant, float]:
    index = {node.name: number for number, node in enumerate(network.nodes)}
    carrier = Carrier(network, quantized.formats, quantized.target, samples, corrected=corrected)
    order = sorted(tried, key=lambda variant: index[variant.layer])
    places = [Place(((v.layer, ""),), frozenset(), index[v.layer], tried[v]) for v in order]
    found: list[float] = []
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        while len(found) < len(places):
            if progress is not None:
                progress(len(found), len(places))
            found += carrier.carry(carrier.affordable(places[len(found) :]), pool)
    return dict(zip(order, found, strict=True))
