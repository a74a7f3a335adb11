"""`insight`: everything there is to say about a model on a chip, gathered."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinsmith import __version__
from tinsmith.algorithms.draft import Progress
from tinsmith.errors import DataError, RecipeError
from tinsmith.espdl.encoder import encode
from tinsmith.program import Program
from tinsmith.recipe.whole import RECIPE_KEY, Recipe
from tinsmith.report.channels import channels
from tinsmith.report.choices import Choices
from tinsmith.report.commands import PLACES, Places
from tinsmith.report.insight.analysis import Analysis, analyse, noise_of
from tinsmith.report.insight.costs import costs
from tinsmith.report.insight.findings import findings
from tinsmith.report.insight.schema import Insight, Layer
from tinsmith.report.insight.slow_actions import slow_actions
from tinsmith.report.layer_error import layers as analysed_layers
from tinsmith.simulator.run import target_of
from tinsmith.targets import Target

if TYPE_CHECKING:
    from tinsmith.estimate.boards import Board
    from tinsmith.quantized import Quantized

SAMPLES = 32
"""That are analysed where nobody says how many."""


def insight(
    model: Quantized | Program,
    data: Any = None,
    *,
    target: str | Target | None = None,
    board: str | Board | None = None,
    internal: int = 0,
    samples: int = SAMPLES,
    name: str = "",
    file_bytes: int | None = None,
    places: Places = PLACES,
    progress: Progress | None = None,
) -> Insight:
    """Say whether a model fits, how fast and how accurate it will be, which layers lose accuracy and why.

    Args:
        model: From `tinsmith.quantize`; or a program, of which only the costs are known.
        data: Samples to analyse, as `tinsmith.quantize` takes them, in the model's own layout; the recipe's
            preprocessing applies. None: costs only.
        target: The chip, for programs that do not name theirs.
        board: Whether the model fits on it: its name, or a board of your own.
        internal: Bytes of internal RAM that activations may use.
        samples: Look at no more samples than that.
        name: What the report calls the model; by default the name of its graph.
        file_bytes: Size of the file, where there is one; by default that of the program as tinsmith writes it.
        places: What the commands to copy call the files.
        progress: Called with a stage's name, how far it is, and how far it goes.

    Raises:
        DataError: The data cannot be read, or a sample does not fit the model; or there are data for a program without
            its float network.
        RecipeError: The target or the board is unknown.
        ProgramError: The program is inconsistent.
    """
    tell: Progress = progress if progress is not None else lambda stage, done, total: None
    quantized = None if isinstance(model, Program) else model
    program = model if isinstance(model, Program) else model.program
    chip = target_of(program, target) if isinstance(model, Program) else model.target
    if quantized is None and data is not None:
        raise DataError(
            "a program without its float network has nothing to compare samples with.",
            subject="data",
            hint="Give the result of tinsmith.quantize.",
        )
    tell("estimate costs", 0, None)
    flash = len(encode(program)) if file_bytes is None else file_bytes
    cost = costs(program, chip, flash=flash, board=board, internal=internal)
    found = None if quantized is None or data is None else analyse(quantized, data, samples, places, tell)
    layers = cost.layers if quantized is None else _described(cost.layers, quantized, found)
    choices = Choices.of(program)
    return Insight(
        model=name or program.name or "model",
        target=chip.name,
        esp_dl=str(chip.esp_dl),
        made_with=" ".join(part for part in (program.producer_name, program.producer_version) if part),
        effort="" if choices is None else choices.effort,
        recipe=program.metadata.get(RECIPE_KEY, ""),
        precisions=dict(Counter(layer.precision for layer in layers)),
        samples=0 if found is None else found.samples,
        outputs=() if found is None else found.outputs,
        findings=findings(
            cost.memory,
            cost.speed,
            layers,
            () if found is None else found.outputs,
            cost.boards,
            why_no_speed=cost.why_no_speed,
            samples=0 if found is None else found.samples,
        ),
        layers=layers,
        memory=cost.memory,
        speed=cost.speed,
        board=cost.board,
        boards=cost.boards,
        actions=(
            *(() if found is None else found.actions),
            *slow_actions(layers, cost.speed, _splitting(program, places)),
        ),
        notes=(*(() if quantized is None else quantized.notes), *cost.notes),
        reported_by=f"tinsmith {__version__}",
    )


def _splitting(program: Program, places: Places) -> Places | None:
    """Names for the command that splits layers; None where the recipe did so, or is not known."""
    try:
        known = Recipe.parse(program.metadata[RECIPE_KEY])
    except (KeyError, RecipeError):  # of another tool, or another version
        return None
    return None if known.fit_cache else places


def _described(layers: tuple[Layer, ...], quantized: Quantized, found: Analysis | None) -> tuple[Layer, ...]:
    """The steps with what is known of the layers of the float network that they are."""
    ranges = channels(quantized)
    accumulated = {} if found is None else {error.layer: error for error in found.accumulated}
    alone = {} if found is None else {error.layer: error for error in found.alone}
    described = []
    for layer, (name, sources, tensor) in zip(layers, _identified(layers, quantized), strict=True):
        decision = quantized.placement.get(name)
        described.append(
            replace(
                layer,
                sources=sources,
                accumulated=noise_of(accumulated[name]) if name in accumulated else None,
                alone=noise_of(alone[name]) if name in alone else None,
                causes=() if found is None else found.causes.get(name, ()),
                histogram=None if found is None else found.histograms.get(tensor),
                channels=ranges.get(name),
                why="" if decision is None or decision.reason == "default" else decision.reason,
            )
        )
    return tuple(described)


def _identified(layers: tuple[Layer, ...], quantized: Quantized) -> list[tuple[str, tuple[str, ...], str]]:
    """For each step the layer of the float network that it is, that layer's origin, and the value that it leaves.

    A layer that became several steps belongs to the first of them; empty for steps of which no layer knows.
    """
    by_value: dict[str, tuple[str, tuple[str, ...], str]] = {}
    origins = {output.name: node.sources for node in quantized.network.nodes for output in node.outputs}
    for step in analysed_layers(quantized):
        for output in (output for node in step.nodes for output in node.outputs):
            by_value[output.name] = (step.node.name, step.sources, step.outputs[0].name)
    taken: set[str] = set()
    identified = []
    for layer in layers:
        known = next((by_value[name] for name in layer.outputs if name in by_value), None)
        if known is None or known[0] in taken:
            known = ("", next((tuple(origins[name]) for name in layer.outputs if name in origins), ()), "")
        taken.add(known[0])
        identified.append(known)
    return identified
