"""The chips. A new one is a `Target` literal in its family's file, listed in that file's ``TARGETS``."""

from __future__ import annotations

import difflib

from tinsmith.errors import RecipeError
from tinsmith.targets import generic_c, pie_v1, pie_v2
from tinsmith.targets.base import Accumulator, LinearUnit, PReluStyle, Saturation, Target
from tinsmith.targets.features import NEAREST_ENTRY, PER_CHANNEL, Feature, caveat, lacking, speaking
from tinsmith.targets.version import CURRENT, OLDEST, Version

TARGETS: dict[str, Target] = {
    target.name: target for family in (pie_v1, pie_v2, generic_c) for target in family.TARGETS
}


def find(name: str | Target, esp_dl: str | Version | None = None) -> Target:
    """The target of that name, as a version of ESP-DL serves it.

    Args:
        name: A chip's name, or a target.
        esp_dl: The firmware's ESP-DL, such as ``3.3.9``; by default the one of the target.

    Raises:
        RecipeError: There is no such target; the message lists the names and the closest one. Or ESP-DL is too old, or
            no version.
    """
    target = name if isinstance(name, Target) else _named(name)
    return target if esp_dl is None else speaking(target, esp_dl)


def _named(name: str) -> Target:
    try:
        return TARGETS[name.lower()]
    except KeyError:
        close = difflib.get_close_matches(name.lower(), TARGETS, n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise RecipeError(
            f"unknown target {name!r}.", subject="target", hint=f"{hint}Known targets: {', '.join(TARGETS)}."
        ) from None


__all__ = [
    "CURRENT",
    "NEAREST_ENTRY",
    "OLDEST",
    "PER_CHANNEL",
    "TARGETS",
    "Accumulator",
    "Feature",
    "LinearUnit",
    "PReluStyle",
    "Saturation",
    "Target",
    "Version",
    "caveat",
    "find",
    "lacking",
    "speaking",
]
