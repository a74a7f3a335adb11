"""Versions of ESP-DL, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tinsmith.errors import RecipeError

_TEXT = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:~\d+)?")


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """A release of ESP-DL.

    Attributes:
        major: First number.
        minor: Second number.
        patch: Third number.
    """

    major: int
    minor: int
    patch: int

    @classmethod
    def of(cls, text: str | Version) -> Version:
        """The version written as ``3.3.9``, ``v3.3.9`` or, with a revision of the component, ``3.3.9~1``.

        Raises:
            RecipeError: The text is no version.
        """
        if isinstance(text, Version):
            return text
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise RecipeError(
                f"{text!r} is no version of ESP-DL.", subject="esp_dl", hint=f"Write three numbers, such as {CURRENT}."
            )
        return cls(*(int(number) for number in found.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


OLDEST = Version(3, 2, 0)
"""The oldest one that is known well enough to write files for (arithmetic §14)."""

CURRENT = Version(3, 3, 9)
"""The one whose arithmetic tinsmith was checked against, and the default."""
