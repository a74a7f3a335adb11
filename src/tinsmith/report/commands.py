"""Command lines to copy: quantize the same model again, with some choices changed."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized


@dataclass(frozen=True, slots=True)
class Places:
    """What commands call the files.

    Attributes:
        model: The float model.
        data: Calibration data.
        recipe: The file that was written, or a recipe: choices are taken from it.
        folder: Where the new files go.
    """

    model: str = "MODEL"
    data: str = "DATA"
    recipe: str = "MODEL.espdl"
    folder: str = "DIR"


PLACES = Places()


def again(options: Iterable[str], places: Places = PLACES) -> str:
    """The command that quantizes the model with other choices.

    Args:
        options: Words of the command line, not yet quoted.
        places: Names of the files.
    """
    words = ["tinsmith", "quantize", places.model, "--data", places.data, "--recipe", places.recipe]
    return shlex.join([*words, *options, "-o", places.folder])


def in_int16(quantized: Quantized, layers: Iterable[str]) -> list[str]:
    """The options with which layers run in int16, and those that were named before."""
    names = dict.fromkeys((*quantized.recipe.int16, *layers))
    return [word for name in names for word in ("--int16", name)]


TUNED = ("--effort", "default")
"""The options with which weights are fitted to the data."""
