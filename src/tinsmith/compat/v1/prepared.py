"""From a float model and a table to what the chip gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinsmith.compat.v1.options import Options
from tinsmith.compat.v1.table import check_fits, misfit, read_table
from tinsmith.errors import FormatError
from tinsmith.quantized import Quantized
from tinsmith.targets import Target


def apply_table(model: Any, path: str | Path, options: Options, target: Target) -> Quantized:
    """Quantizes with the exponents of a table.

    Args:
        model: The float model the table was made for.
        path: Of the table.
        options: What it was made with.
        target: The chip.

    Raises:
        FormatError: The table cannot be read, or is of another model.
        RecipeError: It was made for other bits or another granularity.
        ProgramError: The chip would not run the result.
        TinsmithError: The chip cannot run the model.
    """
    from tinsmith.lower import lower
    from tinsmith.lower.stamp import stamped
    from tinsmith.pipeline import refuse_illegal
    from tinsmith.pipeline.opening import open_model
    from tinsmith.placement import widen
    from tinsmith.report.choices import Choices

    chip = options.serving(target)
    chosen = read_table(path, options, target)
    recipe = options.recipe(chip)
    opened = open_model(model, recipe, chip, lambda stage, done, total: None)
    check_fits(chosen, opened.network, path)
    wider = {name: name for name, bits in opened.widths.items() if bits == 8 and chosen.widths[name] == 16}
    placement = widen(opened.placement, wider)
    if any(placement[name].bits != bits for name, bits in chosen.widths.items()):
        raise FormatError("has other precisions than this model gets.", subject=str(path), hint="Generate it again.")
    widths = {name: decision.bits for name, decision in placement.items()}
    try:
        lowered = lower(opened.network, chosen.formats, widths, chip)
    except (AssertionError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise misfit(opened.network.name, path) from error
    choices = Choices.made(recipe.effort, placement, "", {})
    program = stamped(lowered, recipe, chip, chosen.calibration, choices)
    refuse_illegal(program, chip)
    return Quantized(opened.model, opened.network, placement, chosen.formats, program, chip, recipe, choices)
