"""What to do next for accuracy, the most promising first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array
from tinsmith.report.choices import decibels
from tinsmith.report.commands import PLACES, TUNED, Places, again
from tinsmith.report.insight.schema import Action, Cause
from tinsmith.report.int16_trial import Int16Trial
from tinsmith.report.layer_error import LayerError
from tinsmith.report.mattering import FINE, fitted, output_noise
from tinsmith.report.remedies import TUNING, Remedies
from tinsmith.units import share

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

MOST = 5
SAMPLES = 8
"""That an action is tried on."""
SMALL = 5e7
"""Multiply-accumulates up to which the effort `best` is over soon."""

WORTHWHILE = 0.8
"""A trial must leave less than this share of the noise to be proposed: 1 dB."""

Samples = Sequence[Mapping[str, Array]]


def actions(
    quantized: Quantized,
    accumulated: Sequence[LayerError],
    alone: Sequence[LayerError],
    causes: Mapping[str, Sequence[Cause]],
    samples: Samples = (),
    *,
    places: Places = PLACES,
) -> tuple[Action, ...]:
    """What to do next; nothing where there is as good as no noise at the outputs.

    Args:
        quantized: From `tinsmith.quantize`.
        accumulated: Of `tinsmith.report.graphwise.graphwise`.
        alone: Of `tinsmith.report.layerwise.layerwise`; may be empty.
        causes: Of `tinsmith.report.causes.causes`.
        samples: Some of the analysed samples as the network takes them, `{input: array}`, a few of which layers in
            int16 are tried on. Without any, their effect is estimated.
        places: What commands call the files.
    """
    if output_noise(quantized, accumulated) < FINE:
        return ()
    remedies = Remedies(quantized, places)
    found = [*_of_causes(causes, alone), *_in_int16(quantized, remedies, alone, causes, samples)]
    found += [*_effort(quantized, remedies, places), *_budget(quantized, places)]
    kept: dict[tuple[str, str], Action] = {}
    for action in found:
        kept.setdefault((action.title, action.command), action)
    return tuple(kept.values())[:MOST]


def _of_causes(causes: Mapping[str, Sequence[Cause]], alone: Sequence[LayerError]) -> list[Action]:
    """What addresses several layers at once comes once, with all of them; int16 is looked at on its own."""
    found: dict[tuple[str, str], Action] = {}
    addressed: dict[tuple[str, str], list[str]] = {}
    for layer, cause in ((layer, cause) for layer, some in causes.items() for cause in some):
        action = cause.action
        if "--int16" in action.command.split() or not action.command:
            continue
        key = action.title, action.command
        before = found.get(key)
        layers = dict.fromkeys((*(before.layers if before is not None else ()), *action.layers))
        addressed.setdefault(key, []).append(layer)
        found[key] = replace(action, layers=tuple(layers), effect=_estimated(alone, addressed[key]))
    return list(found.values())


def _effort(quantized: Quantized, remedies: Remedies, places: Places) -> list[Action]:
    """More effort, where there is more to spend."""
    recipe = quantized.recipe
    if 8 not in {decision.bits for decision in quantized.placement.values()}:
        return []
    if remedies.untuned:
        why = "The effort 'fast' leaves weights as they are: nothing is equalized, nothing rounded for the data."
        return [Action(TUNING, why, again(TUNED, places))]
    if recipe.algorithms is not None:
        return []
    if not quantized.choices.snr_db:
        why = "With so few calibration samples weights are not fitted to the data; a few dozen are enough."
        return [Action("Give more calibration samples", why, again([], places))]
    macs = sum(operators()[node.op_type].cost(node).macs for node in quantized.network.nodes)
    if recipe.effort == "default" and macs <= SMALL:
        why = "The network is small: a search over exponents, and absorbed biases, take little time."
        return [Action("Search longer", why, again(["--effort", "best"], places))]
    return []


def _in_int16(
    quantized: Quantized,
    remedies: Remedies,
    alone: Sequence[LayerError],
    causes: Mapping[str, Sequence[Cause]],
    samples: Samples,
) -> list[Action]:
    """The layers that matter in int16: the worst one, and all of them."""
    sets = [remedies.able(name for cause in some for name in cause.action.layers) for some in causes.values()]
    every = list(dict.fromkeys(name for names in sets for name in names))
    if not every:
        return []
    worst = list(next(names for names in sets if names))
    if not samples:
        return [remedies.int16(every, _estimated(alone, causes.keys()))]
    trial = Int16Trial(quantized, samples[:: max(1, len(samples) // SAMPLES)][:SAMPLES])
    before = trial.before
    found: list[tuple[float, Action]] = []
    for names in [worst, every] if worst != every else [every]:
        after = trial.noise(names)
        if after is not None and after < WORTHWHILE * before:
            found.append((after, remedies.int16(names, _measured(quantized, names, before, after, trial.count))))
    if len(found) == 2 and found[1][0] > WORTHWHILE * found[0][0]:
        del found[1]
    if not found and fitted(quantized):
        # Weights were fitted to errors that are gone then: only quantizing anew tells.
        return [remedies.int16(every, _estimated(alone, causes.keys()))]
    return [action for _, action in sorted(found, key=lambda pair: pair[0])]


def _measured(quantized: Quantized, names: Sequence[str], before: float, after: float, count: int) -> str:
    macs = {node.name: operators()[node.op_type].cost(node).macs for node in quantized.network.nodes}
    work = sum(macs[name] for name in names) / max(sum(macs.values()), 1)
    gained = f"{decibels(before):.1f} → {decibels(after):.1f} dB at the outputs"
    return f"{gained}, measured on {count} samples; {share(work)} of the multiply-accumulates"


def _estimated(alone: Sequence[LayerError], names: Collection[str]) -> str:
    total = sum(error.noise for error in alone)
    part = sum(error.noise for error in alone if error.layer in names)
    return f"for layers that make {share(part / total)} of the noise of all, estimated" if total > 0 else ""


def _budget(quantized: Quantized, places: Places) -> list[Action]:
    recipe = quantized.recipe
    if recipe.int16_budget is not None or recipe.max_drop is not None or recipe.bits == 16:
        return []
    why = "Layers go to int16 where that gains most for its cost, up to a tenth of the work."
    return [Action("Let tinsmith choose layers for int16", why, again(["--int16-budget", "10%"], places))]
