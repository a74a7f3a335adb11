"""What was decided while a network was quantized: kept in the file's metadata, as TOML."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tinsmith.errors import FormatError
from tinsmith.placement import Placement
from tinsmith.program import Program

CHOICES_KEY = "choices"
"""Of the metadata of a program."""

_SMALLEST_NOISE = 1e-12


def decibels(noise: float) -> float:
    """Signal to noise in dB, of squared error over squared signal; 120 at most."""
    return -10 * math.log10(max(noise, _SMALLEST_NOISE))


@dataclass(frozen=True, slots=True)
class Choices:
    """What a recipe leaves open, and how it was decided.

    Attributes:
        effort: `fast`, `default` or `best`.
        won: The candidate that was taken; empty where there was only one.
        snr_db: Signal to noise of each candidate at the outputs, as the chip computes them, by its name.
        int16: Layers in int16 that would be in another precision by the recipe's `bits` alone, with the reason.
    """

    effort: str
    won: str = ""
    snr_db: Mapping[str, float] = field(default_factory=dict)
    int16: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def made(cls, effort: str, placement: Placement, won: str, noise: Mapping[str, float]) -> Choices:
        """Of what the stages found.

        Args:
            effort: The recipe's.
            placement: Decisions by layer.
            won: The candidate that was taken.
            noise: By candidate: squared error over squared signal; infinite where the chip would refuse it.
        """
        measured = {name: round(decibels(value), 2) for name, value in noise.items() if math.isfinite(value)}
        wide = {
            name: decision.reason
            for name, decision in placement.items()
            if decision.precision == "int16" and decision.reason != "default"
        }
        return cls(effort, won, measured, wide)

    @classmethod
    def of(cls, program: Program) -> Choices | None:
        """Those in the metadata of a program; None where it has none.

        Raises:
            FormatError: They cannot be understood.
        """
        text = program.metadata.get(CHOICES_KEY)
        if text is None:
            return None
        try:
            found: dict[str, Any] = tomllib.loads(text)
            return cls(
                str(found["effort"]),
                str(found.get("won", "")),
                dict(found.get("snr_db", {})),
                dict(found.get("int16", {})),
            )
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
            raise FormatError(f"cannot be understood: {error}.", subject=f"metadata {CHOICES_KEY!r}") from error

    def toml(self) -> str:
        """The text for the metadata; empty parts are left out."""
        import tomli_w

        parts = {"effort": self.effort, "won": self.won, "snr_db": dict(self.snr_db), "int16": dict(self.int16)}
        return tomli_w.dumps({key: value for key, value in parts.items() if value})
