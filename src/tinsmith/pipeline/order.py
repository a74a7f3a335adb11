"""The only place that knows the order of the stages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinsmith.errors import DataError
from tinsmith.pipeline.choosing import CHECKED_SAMPLES, calibrate, choose, tune_weights
from tinsmith.pipeline.fitting import fitting_notes
from tinsmith.pipeline.opening import Progress, hints_for, open_model
from tinsmith.pipeline.promoting import promote
from tinsmith.pipeline.refusing import (
    refuse_idle,
    refuse_idle_scopes,
    refuse_illegal,
    refuse_labels,
    refuse_unmeasurable,
)
from tinsmith.quantized import Quantized
from tinsmith.recipe import Recipe
from tinsmith.targets import Target, caveat

if TYPE_CHECKING:
    from tinsmith.calibrate.guidance import Guidance


def run(
    model: Any,
    data: Any,
    recipe: Recipe,
    target: Target,
    progress: Progress | None = None,
    labels: Any = None,
    *,
    example_input: Any = None,
) -> Quantized:
    """Run all stages with the choices of ``recipe``."""
    from tinsmith.lower import lower
    from tinsmith.lower.stamp import stamped
    from tinsmith.placement import forced
    from tinsmith.report.choices import Choices
    from tinsmith.scopes import not_as_given
    from tinsmith.simulator.headroom import headroom

    tell: Progress = progress if progress is not None else lambda stage, done, total: None
    refuse_idle(recipe, data, labels)
    opened = open_model(model, recipe, target, tell, hints_for(recipe, data, example_input))
    refuse_idle_scopes(opened.network, opened.widths, recipe, target)
    refuse_unmeasurable(opened.network, recipe, labelled=labels is not None)
    seen = calibrate(opened, data, recipe, target, tell, labels)
    refuse_labels(opened.network, seen.labels)
    tell("choose formats", 0, None)
    state = choose(opened, seen.stats, recipe, target)
    state, gained = tune_weights(opened, state, seen, recipe, target, tell)
    state, promoted = promote(opened, state, seen, recipe, target, tell)
    tell("lower", 0, None)
    lowered = lower(state.draft.network, state.draft.formats, state.widths, target)
    choices = Choices.made(recipe.effort, state.placement, state.won, state.noise)
    program = stamped(lowered, recipe, target, seen.stats.digest, choices, seen.labels_digest)
    refuse_illegal(program, target)
    tell("check accumulators", 0, None)
    notes = (
        *_version_notes(target),
        *forced(state.placement),
        *opened.notes,
        *seen.notes,
        *gained,
        *promoted,
        *fitting_notes(recipe, opened.parted, state, program, target),
        *not_as_given(opened.network, recipe.scopes, state.draft.formats),
        *headroom(program, target, seen.samples[:CHECKED_SAMPLES]),
    )
    return Quantized(
        opened.model,
        state.draft.network,
        state.placement,
        state.draft.formats,
        program,
        target,
        recipe,
        choices,
        seen.samples[0],
        notes,
        seen.guidance,
        state.draft.unrounded,
    )


def examine_data(
    model: Any,
    data: Any,
    recipe: Recipe,
    target: Target,
    progress: Progress | None = None,
    *,
    methods: bool = False,
    example_input: Any = None,
) -> Guidance:
    """Run the stages up to calibration, and say what the samples are good for.

    Raises:
        DataError: There are none.
    """
    from tinsmith.calibrate.guidance import methods_compared

    tell: Progress = progress if progress is not None else lambda stage, done, total: None
    opened = open_model(model, recipe, target, tell, hints_for(recipe, data, example_input))
    found = calibrate(opened, data, recipe, target, tell, histograms=methods)
    if found.guidance is None:
        raise DataError("there are none.", subject="calibration data", hint="Give a few dozen samples.")
    if not methods:
        return found.guidance
    layers = {output.name: node.name for node in opened.network.nodes for output in node.outputs}
    compared = methods_compared(found.stats, layers, recipe.percentile)
    return replace(found.guidance, methods=compared)


def _version_notes(target: Target) -> tuple[str, ...]:
    note = caveat(target)
    return () if note is None else (note,)
