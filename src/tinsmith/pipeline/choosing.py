"""From what is known of the values to formats and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinsmith.errors import QuantizationError
from tinsmith.pipeline.opening import Opened, Progress
from tinsmith.recipe import Recipe
from tinsmith.targets import Target

if TYPE_CHECKING:
    from tinsmith.algorithms.classic_equalization import ClassicOptions
    from tinsmith.algorithms.draft import Draft, Workshop
    from tinsmith.algorithms.tune import Tuned
    from tinsmith.calibrate.exponents import Way
    from tinsmith.calibrate.stage import Calibrated
    from tinsmith.calibrate.stats import Stats
    from tinsmith.ops.floatnode import Network
    from tinsmith.placement import Decision

CHECKED_SAMPLES = 4
"""Calibration samples on which accumulators that saturate are watched."""
LABELLED_SAMPLES, UNLABELLED_SAMPLES = 1000, 256
"""Samples that tell what is lost of the outputs, at most."""
MEASURED_BYTES = 400_000_000
"""Of all these samples and of their outputs."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What has been chosen so far; each stage makes a new one.

    Attributes:
        placement: Decisions by layer.
        draft: The network and its formats for these widths.
        won: The candidate this is, where there were several.
        noise: Of all candidates, by name: squared error over squared signal at the outputs.
    """

    placement: Mapping[str, Decision]
    draft: Draft
    won: str = ""
    noise: Mapping[str, float] = field(default_factory=dict)

    @property
    def widths(self) -> dict[str, int]:
        """Width of each node by name."""
        return {name: decision.bits for name, decision in self.placement.items()}


def calibrate(
    opened: Opened,
    data: Any,
    recipe: Recipe,
    target: Target,
    tell: Progress,
    labels: Any = None,
    *,
    histograms: bool = False,
) -> Calibrated:
    """Observe the values on the data, or take the model's own ranges where there are none."""
    from tinsmith.algorithms.narrow import values_to_observe
    from tinsmith.algorithms.promote import and_those_of_both_widths
    from tinsmith.algorithms.scales import unmeasured
    from tinsmith.algorithms.tune import MOST_OBSERVED
    from tinsmith.calibrate.stage import Wanted, on_data, on_ranges

    values, bits = values_to_observe(opened.network, opened.widths, target)
    if recipe.max_drop is not None or recipe.int16_budget is not None:
        values, bits = and_those_of_both_widths(opened.network, opened.widths, values, bits)
    kept = max(CHECKED_SAMPLES, MOST_OBSERVED, _measured(opened.network, recipe, labelled=labels is not None))
    wanted = Wanted(values, bits, target.rounding, histograms or _histograms(recipe), kept)
    if data is not None:
        return on_data(opened.model, wanted, data, recipe, lambda done, total: tell("calibrate", done, total), labels)
    return on_ranges(
        opened.model,
        opened.network,
        wanted,
        lambda known: unmeasured(opened.network, opened.widths, target, known),
    )


def _measured(network: Network, recipe: Recipe, *, labelled: bool) -> int:
    """How many samples it takes to measure a drop, where one is asked for."""
    if recipe.max_drop is None:
        return 0
    most = LABELLED_SAMPLES if labelled else UNLABELLED_SAMPLES
    ends = (*network.inputs, *network.outputs)
    size = sum(int(np.prod(operand.shape)) * operand.dtype.itemsize for operand in ends)
    return min(most, MEASURED_BYTES // max(size, 1))


def _histograms(recipe: Recipe) -> bool:
    """Whether a method that the recipe names needs them."""
    from tinsmith.calibrate.exponents import method_named

    methods = {recipe.calibration, *(scope.calibration for scope in recipe.scopes if scope.calibration)}
    return any(method_named(name).histograms for name in methods)


def _method(network: Network, recipe: Recipe) -> tuple[str, float, Mapping[str, Way]]:
    """The last arguments of `choose_formats`."""
    from tinsmith.scopes import ways

    usual = (recipe.calibration, recipe.percentile)
    return *usual, ways(network, recipe.scopes, *usual)


def choose(opened: Opened, stats: Stats, recipe: Recipe, target: Target) -> State:
    """The formats, and the placement with nodes in int16 whose int8 kernel overflows on what was observed."""
    from tinsmith.algorithms.draft import Draft
    from tinsmith.algorithms.narrow import widened
    from tinsmith.algorithms.scales import beyond_int8, choose_formats
    from tinsmith.placement import widen

    net, placement = opened.network, opened.placement
    method = _method(net, recipe)
    try:
        formats = choose_formats(net, opened.widths, stats, target, *method)
    except QuantizationError:
        names = beyond_int8(net, opened.widths, stats, target, *method)
        if not names:
            raise
        placement = widen(placement, widened(net, opened.widths, target, names))
        widths = {name: decision.bits for name, decision in placement.items()}
        formats = choose_formats(net, widths, stats, target, *method)
    return State(placement, Draft("plain", net, formats, stats, net))


def workshop(
    opened: Opened, state: State, seen: Calibrated, recipe: Recipe, target: Target, tell: Progress
) -> Workshop:
    """What the algorithms have to work with, in the widths chosen so far."""
    from tinsmith.algorithms.draft import Workshop
    from tinsmith.algorithms.scales import choose_formats
    from tinsmith.algorithms.tune import MOST_OBSERVED, sample_count
    from tinsmith.calibrate.spread import evenly
    from tinsmith.scopes import left_alone

    method = _method(opened.network, recipe)
    return Workshop(
        opened.model,
        opened.network,
        state.widths,
        target,
        evenly(seen.samples, MOST_OBSERVED),
        lambda network, bits, stats, steps: choose_formats(network, bits, stats, target, *method, steps=steps),
        _histograms(recipe),
        left_alone(opened.network, recipe.scopes),
        sample_count(opened.network),
        recipe.max_drop is not None or recipe.int16_budget is not None,
        _classic(recipe),
        tell,
    )


def tune_weights(
    opened: Opened, state: State, seen: Calibrated, recipe: Recipe, target: Target, tell: Progress
) -> tuple[State, tuple[str, ...]]:
    """What the recipe's algorithms make of the weights, or the effort's, where the data are real; what they gained."""
    from tinsmith.algorithms.tune import LEAST_SAMPLES, apply, tune
    from tinsmith.graph.ranges import ranges_of

    if not seen.real or not {8, 16} & {*state.widths.values()}:
        return state, ()
    shop = workshop(opened, state, seen, recipe, target, tell)
    if recipe.algorithms is not None:
        start = state.draft.separated()
        draft = apply(start, shop, recipe.algorithms)
        return replace(state, draft=draft, won=draft.name), ()
    if recipe.effort == "fast" or 8 not in state.widths.values():
        return state, ()
    tuned = tune(state.draft, shop, recipe.effort, scalable=not ranges_of(opened.model))
    if not tuned.noise:
        few = len(seen.samples) < LEAST_SAMPLES
        count = "one sample" if len(seen.samples) == 1 else f"{len(seen.samples)} samples"
        return state, (f"weights are not tuned: {count}, and {LEAST_SAMPLES} are the least; add samples.",) * few
    after = replace(state, draft=tuned.best, won=tuned.best.name, noise=tuned.noise)
    return after, () if tuned.best is state.draft else (_gain(tuned),)


def _gain(tuned: Tuned) -> str:
    from tinsmith.report.choices import decibels

    name = tuned.best.name
    gained, before = decibels(tuned.noise[name]), decibels(tuned.noise["plain"])
    return f"{name}: {gained:.1f} dB signal to noise at the outputs, {before:.1f} dB without."


def _classic(recipe: Recipe) -> ClassicOptions:
    from tinsmith.algorithms.classic_equalization import ClassicOptions
    from tinsmith.recipe import Equalization

    given = (recipe.equalization or Equalization()).model_dump()
    given["including_activation"] = given.pop("including_act")
    given["activation_multiplier"] = given.pop("act_multiplier")
    return ClassicOptions(**given)
