"""What is refused before the first stage, and after the last."""

from __future__ import annotations

from typing import Any

from tinsmith.errors import ProgramError, RecipeError
from tinsmith.program import Program
from tinsmith.recipe import Recipe
from tinsmith.targets import Target


def refuse_idle(recipe: Recipe, data: Any, labels: Any) -> None:
    """Refuse options that nothing would heed.

    Raises:
        RecipeError: Names one.
    """
    if labels is not None and recipe.max_drop is None:
        reason = "labels are given, and nothing asks for them."
        raise RecipeError(reason, subject="labels", hint="They are for max_drop (--max-drop).")
    if data is None and (recipe.max_drop is not None or recipe.int16_budget is not None):
        option = "max_drop" if recipe.max_drop is not None else "int16_budget"
        raise RecipeError("needs calibration data.", subject=option, hint="Give a few dozen samples (data=…, --data).")


def refuse_unconnected(recipe: Recipe) -> None:
    """Refuse options that no stage reads so far, rather than leave them out silently."""
    standard = Recipe()
    for option in ("max_drop", "int16_budget", "algorithms", "equalization"):
        if getattr(recipe, option) != getattr(standard, option):
            raise RecipeError("is not available yet.", subject=option, hint="Leave it out.")
    if recipe.effort == "best":
        raise RecipeError("'best' is not available yet.", subject="effort", hint="Leave it out.")
    if recipe.effort != "fast" and any(scope.tune is not None for scope in recipe.scopes):
        raise RecipeError("is not available yet.", subject="tune", hint="Leave it out, or effort = 'fast'.")


def refuse_illegal(program: Program, target: Target) -> None:
    """Refuse what the chip would crash on or compute as garbage.

    Raises:
        ProgramError: A rule is broken; all of them, with their nodes.
    """
    from tinsmith.simulator.legality import violations

    broken = violations(program, target)
    if broken:
        raise ProgramError("\n  ".join([f"{target.name} would not run it:", *broken]), subject="program")
