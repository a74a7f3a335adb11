"""`fit_cache`: layers whose weights do not stay in the cache become several, where that saves time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tinsmith.errors import RecipeError
from tinsmith.recipe import Recipe
from tinsmith.targets import Target

if TYPE_CHECKING:
    import onnx_ir as ir

    from tinsmith.algorithms.split_outputs import PartedLayer, PartedModel
    from tinsmith.pipeline.choosing import State
    from tinsmith.placement import Decision
    from tinsmith.program import Program

NAMED = 8
"""Layers that the note names."""


def refuse_unknown_cache(recipe: Recipe, target: Target) -> None:
    """Refuse to fit layers to a cache of which nothing is known.

    Raises:
        RecipeError: Nobody measured times on the chip.
    """
    from tinsmith.estimate.latency import no_model

    reason = no_model(target) if recipe.fit_cache else None
    if reason is not None:
        known = reason.partition(": ")[0]
        hint = "Leave it out: what splitting layers would save, or cost, is not known there."
        raise RecipeError(f"{known}.", subject="fit_cache", hint=hint)


def fitted(model: ir.Model, placement: Mapping[str, Decision], target: Target) -> PartedModel:
    """The model with layers in parts."""
    from tinsmith.algorithms.split_outputs import split_outputs

    return split_outputs(model, {name: decision.bits for name, decision in placement.items()}, target)


def fitting_notes(
    recipe: Recipe, layers: Sequence[PartedLayer], state: State, program: Program, target: Target
) -> tuple[str, ...]:
    """What was split, and what that saves and costs."""
    if not recipe.fit_cache:
        return ()
    if not layers:
        return ("fit_cache: no layer is faster in parts; nothing is split.",)
    from tinsmith.algorithms.join_outputs import join_outputs
    from tinsmith.lower import lower

    whole = join_outputs(state.draft.network, state.draft.formats, state.widths, layers)
    before = lower(whole.network, whole.formats, whole.widths, target).program
    return (f"fit_cache: {_split(layers)}.", f"fit_cache: {_costs(before, program, target)}")


def _split(layers: Sequence[PartedLayer]) -> str:
    named = ", ".join(f"{layer.layer!r} in {len(layer.parts)}" for layer in layers[:NAMED])
    more = f" and {len(layers) - NAMED} more" if len(layers) > NAMED else ""
    count = "1 layer is" if len(layers) == 1 else f"{len(layers)} layers are"
    return f"{count} in parts whose weights stay in the cache: {named}{more}"


def _costs(before: Program, after: Program, target: Target) -> str:
    from tinsmith.estimate.latency import latency
    from tinsmith.estimate.memory import plan_memory

    times = [latency(program, target) for program in (before, after)]
    peaks = [plan_memory(program, target).peak for program in (before, after)]
    one = " → ".join(f"{found.single_ms:,.1f}" for found in times if found is not None)
    two = " → ".join(f"{found.dual_ms:,.1f}" for found in times if found is not None)
    memory = f"{peaks[0]:,} → {peaks[1]:,} bytes" if peaks[0] != peaks[1] else f"{peaks[0]:,} bytes as before"
    text = f"estimated {one} ms on one core, {two} ms on two; RAM for tensors {memory}"
    return f"{text}, since parts and their Concat are there together." if peaks[1] > peaks[0] else f"{text}."
