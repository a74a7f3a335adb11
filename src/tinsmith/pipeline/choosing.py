"""From what is known of the values to formats and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tinsmith.errors import QuantizationError
from tinsmith.pipeline.opening import Opened, Progress
from tinsmith.recipe import Recipe
from tinsmith.targets import Target

if TYPE_CHECKING:
    import onnx_ir as ir

    from tinsmith.calibrate.exponents import Way
    from tinsmith.calibrate.stage import Calibrated
    from tinsmith.calibrate.stats import Stats
    from tinsmith.ops.floatnode import Network
    from tinsmith.placement import Decision
    from tinsmith.quant.format import Formats

CHECKED_SAMPLES = 4
"""Calibration samples on which accumulators that saturate are watched."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What has been chosen so far; each stage makes a new one.

    Attributes:
        network: With the weights it has by now.
        placement: Decisions by layer.
        formats: For both.
        won: The candidate this is, where there were several.
        noise: Of all candidates, by name: squared error over squared signal at the outputs.
    """

    network: Network
    placement: Mapping[str, Decision]
    formats: Formats
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
    from tinsmith.algorithms import promote
    from tinsmith.algorithms.narrow import values_to_observe
    from tinsmith.algorithms.scales import unmeasured
    from tinsmith.algorithms.tune import MOST_OBSERVED
    from tinsmith.calibrate.stage import Wanted, on_data, on_ranges

    values, bits = values_to_observe(opened.network, opened.widths, target)
    if recipe.max_drop is not None or recipe.int16_budget is not None:
        more, wider = promote.values_to_observe(opened.network, opened.widths)
        values, bits = list(dict.fromkeys((*values, *more))), sorted({*bits, *wider})
    kept = max(CHECKED_SAMPLES, MOST_OBSERVED)
    wanted = Wanted(values, bits, target.rounding, histograms or _histograms(recipe), kept)
    if data is not None:
        return on_data(opened.model, wanted, data, recipe, lambda done, total: tell("calibrate", done, total), labels)
    return on_ranges(
        opened.model,
        opened.network,
        wanted,
        lambda known: unmeasured(opened.network, opened.widths, target, known),
    )


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
    from tinsmith.algorithms.narrow import widened
    from tinsmith.algorithms.scales import beyond_int8, choose_formats
    from tinsmith.placement import widen

    net, widths = opened.network, opened.widths
    method = _method(net, recipe)
    try:
        return State(net, opened.placement, choose_formats(net, widths, stats, target, *method))
    except QuantizationError:
        names = beyond_int8(net, widths, stats, target, *method)
        if not names:
            raise
    placement = widen(opened.placement, widened(net, widths, target, names))
    widths = {name: decision.bits for name, decision in placement.items()}
    return State(net, placement, choose_formats(net, widths, stats, target, *method))


def tune_weights(
    model: ir.Model, state: State, seen: Calibrated, recipe: Recipe, target: Target, tell: Progress
) -> tuple[State, tuple[str, ...]]:
    """Equalization and rounding for the data, where there are 8-bit layers and real data, and what they gained."""
    from tinsmith.algorithms.scales import choose_formats
    from tinsmith.algorithms.tune import LEAST_SAMPLES, tune
    from tinsmith.graph.ranges import ranges_of
    from tinsmith.report.choices import decibels

    if recipe.effort == "fast" or not seen.real or 8 not in state.widths.values():
        return state, ()
    method = _method(state.network, recipe)
    tuned = tune(
        model,
        state.network,
        state.formats,
        state.widths,
        target,
        seen.samples,
        lambda network, stats: choose_formats(network, state.widths, stats, target, *method),
        scalable=not ranges_of(model),
        histograms=_histograms(recipe),
        progress=tell,
    )
    if not tuned.noise:
        few = len(seen.samples) < LEAST_SAMPLES
        count = "one sample" if len(seen.samples) == 1 else f"{len(seen.samples)} samples"
        return state, (f"weights are not tuned: {count}, and {LEAST_SAMPLES} are the least; add samples.",) * few
    best = tuned.best
    after = replace(state, network=best.network, formats=best.formats, won=best.name, noise=tuned.noise)
    if best.name == "plain":
        return after, ()
    gained, before = decibels(tuned.noise[best.name]), decibels(tuned.noise["plain"])
    return after, (f"{best.name}: {gained:.1f} dB signal to noise at the outputs, {before:.1f} dB without.",)
