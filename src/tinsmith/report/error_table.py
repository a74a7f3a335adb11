"""The errors of layers as a table of text: the worst first, a bar, and the figure."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tinsmith.errors import RecipeError
from tinsmith.report.layer_error import LayerError

BLOCKS = 20
"""Length of the longest bar."""


@dataclass(frozen=True, slots=True)
class Method:
    """How the error of a layer is told.

    Attributes:
        title: Of the column.
        percent: Whether figures are shown in percent.
        rising: Whether larger figures are worse.
    """

    title: str
    percent: bool
    rising: bool = True


METHODS: Mapping[str, Method] = {
    "snr": Method("NOISE:SIGNAL POWER RATIO", percent=True),
    "cosine": Method("COSINE SIMILARITY", percent=True, rising=False),
    "mse": Method("MSE LOSS(UNSCALED)", percent=False),
}
"""What `error_table` can show, by name."""
_FIELDS: Mapping[str, str] = {"snr": "noise", "cosine": "cosine", "mse": "mse"}
"""Of `LayerError`, by method."""


def method_named(name: str) -> Method:
    """One of `METHODS`.

    Raises:
        RecipeError: There is none of that name.
    """
    found = METHODS.get(str(name).lower())
    if found is None:
        close = difflib.get_close_matches(str(name).lower(), METHODS, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Choose one of {', '.join(map(repr, METHODS))}."
        raise RecipeError(f"there is no {name!r}.", subject="method", hint=hint)
    return found


def figures(errors: Iterable[LayerError], method: str = "snr") -> dict[str, float]:
    """By layer the ratio of noise to signal power (``snr``), the cosine, or the mean squared error.

    Raises:
        RecipeError: The method is unknown.
    """
    method_named(method)
    field = _FIELDS[str(method).lower()]
    return {error.layer: float(getattr(error, field)) for error in errors}


def error_table(values: Mapping[str, float], method: str = "snr", *, label: str = "Layer") -> str:
    """Lines of ``layer: | bar | figure``, the worst layer first, below a header.

    Args:
        values: By layer, as `figures` gives them.
        method: What they are.
        label: Of the first column.

    Raises:
        RecipeError: The method is unknown.
    """
    return bar_table(values, method_named(method), label=label)


def bar_table(values: Mapping[str, float], method: Method, *, label: str = "Layer") -> str:
    """The same for figures of any kind. A bar is as long as its figure stands between the smallest and the largest."""
    width = max(map(len, (label, *values)))
    finite = [value for value in values.values() if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    lines = [f"{label:<{width}}  | {method.title}"]
    for name, value in sorted(values.items(), key=lambda item: _badness(item[1], method), reverse=True):
        blocks = BLOCKS if value == math.inf else 0
        if math.isfinite(value) and high > low:
            blocks = round((value - low) / (high - low) * BLOCKS)
        figure = f"{value * 100:.3f}%" if method.percent else f"{value:.4f}"
        lines.append(f"{name + ':':<{width + 1}} | {'█' * blocks:<{BLOCKS}} | {figure}")
    return "\n".join(lines)


def _badness(value: float, method: Method) -> float:
    if math.isnan(value):
        return math.inf
    return value if method.rising else -value
