"""What ESP-DL learned, and in which version (arithmetic §14): the one place where versions change a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tinsmith.errors import RecipeError
from tinsmith.targets.base import Target
from tinsmith.targets.version import CURRENT, OLDEST, Version


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """Something that changed the arithmetic or the files of every chip.

    Attributes:
        name: What messages call it.
        since: The first release known to have it.
        without: The fields of a `Target` that differ before, with their values.
    """

    name: str
    since: Version
    without: Mapping[str, Any]


PER_CHANNEL = Feature("an exponent per output channel of the weights", Version(3, 3, 1), {"per_channel": False})
NEAREST_ENTRY = Feature("the nearest entry of an int16 table", Version(3, 3, 8), {"interpolated_tables": True})

FEATURES = (PER_CHANNEL, NEAREST_ENTRY)


def speaking(target: Target, version: str | Version) -> Target:
    """The target as an older or newer ESP-DL serves it.

    Args:
        target: A chip, with the features of `Target.esp_dl`.
        version: The ESP-DL of the firmware. Releases after `CURRENT` are taken to compute what `CURRENT` computes.

    Raises:
        RecipeError: It is no version, older than `OLDEST`, or older than the chip's support; or ``target`` was already
            made for an older version, whose fields are not known any more.
    """
    wanted = Version.of(version)
    if wanted < OLDEST:
        raise RecipeError(
            f"ESP-DL {wanted} is older than any that tinsmith knows.",
            subject="esp_dl",
            hint=f"Update ESP-DL in the firmware to {OLDEST} or newer.",
        )
    reason = lacking(f"{target.name} itself", target.since, wanted)
    if reason is not None:
        raise RecipeError(reason, subject="esp_dl")
    if target.esp_dl < wanted and any(target.esp_dl < feature.since <= wanted for feature in FEATURES):
        raise RecipeError(
            f"the target {target.name!r} was made for ESP-DL {target.esp_dl}, and {wanted} is newer.",
            subject="esp_dl",
            hint="Start from the chip's name, or from a Target of the newer version.",
        )
    changed = {key: value for feature in FEATURES if wanted < feature.since for key, value in feature.without.items()}
    return replace(target, esp_dl=wanted, **changed)


def lacking(what: str, since: Version, spoken: Version) -> str | None:
    """Why ``what`` does not run on the version that is spoken, and the way out; None where it does."""
    if since <= spoken:
        return None
    return f"{what} needs ESP-DL ≥ {since}; the target speaks {spoken}: update ESP-DL in the firmware."


def caveat(target: Target) -> str | None:
    """What a user should know about a version that is not `CURRENT`."""
    if target.esp_dl == CURRENT:
        return None
    known = "the differences listed in the manual" if target.esp_dl < CURRENT else "nothing that differs"
    return (
        f"The arithmetic was checked against ESP-DL {CURRENT}; of {target.esp_dl} tinsmith knows {known}. Compare with "
        "the board: --export-test-values."
    )
