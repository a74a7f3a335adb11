"""The chips. A new one is a `Target` literal in its family's file, listed in that file's ``TARGETS``."""

from __future__ import annotations

import difflib

from tinsmith.errors import RecipeError
from tinsmith.targets import generic_c, pie_v1, pie_v2
from tinsmith.targets.base import Accumulator, LinearUnit, PReluStyle, Saturation, Target

TARGETS: dict[str, Target] = {
    target.name: target for family in (pie_v1, pie_v2, generic_c) for target in family.TARGETS
}


def find(name: str | Target) -> Target:
    """The target of that name.

    Raises:
        RecipeError: There is none; the message lists the names and the closest one.
    """
    if isinstance(name, Target):
        return name
    try:
        return TARGETS[name.lower()]
    except KeyError:
        close = difflib.get_close_matches(name.lower(), TARGETS, n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise RecipeError(
            f"unknown target {name!r}.", subject="target", hint=f"{hint}Known targets: {', '.join(TARGETS)}."
        ) from None


__all__ = ["TARGETS", "Accumulator", "LinearUnit", "PReluStyle", "Saturation", "Target", "find"]
