"""The metadata of a program: what it was made with, and how to make it again."""

from __future__ import annotations

from dataclasses import replace

from tinsmith import __version__
from tinsmith.lower.lowerer import Lowered, inherit_origin
from tinsmith.program import Program
from tinsmith.recipe import Recipe
from tinsmith.recipe.whole import RECIPE_KEY
from tinsmith.report.choices import CHOICES_KEY, Choices
from tinsmith.simulator.inputs import LAYOUTS_KEY, Original, layouts_text
from tinsmith.simulator.legality import needed_version
from tinsmith.targets import Target

SEMANTICS_VERSION = "1"


def stamped(
    lowered: Lowered, recipe: Recipe, target: Target, calibration_digest: str, choices: Choices, labels_digest: str = ""
) -> Program:
    """The program with its producer and metadata.

    Args:
        lowered: The program, and how its inputs and outputs are laid out.
        recipe: What the user chose.
        target: The chip.
        calibration_digest: Of the samples.
        choices: What was decided.
        labels_digest: Of the samples' labels; empty where there are none.
    """
    program = lowered.program
    originals = {}
    for value in (*program.inputs, *program.outputs):
        perm = lowered.perms[value.name]
        shape = tuple(value.shape[perm.index(axis)] for axis in range(len(perm)))
        originals[value.name] = Original(shape, perm)
    metadata = {
        "target": target.name,
        "tinsmith": __version__,
        "recipe_sha256": recipe.digest(),
        "calibration_sha256": calibration_digest,
        **({"labels_sha256": labels_digest} if labels_digest else {}),
        "semantics": SEMANTICS_VERSION,
        "esp_dl": f">={needed_version(program, target)}",
        LAYOUTS_KEY: layouts_text(originals),
        RECIPE_KEY: recipe.toml(),
        CHOICES_KEY: choices.toml(),
    }
    made = replace(program, metadata=metadata, producer_name="tinsmith", producer_version=__version__)
    return inherit_origin(made, lowered)
