"""Which layers a user means: by their exact names, or by regular expressions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from tinsmith.errors import RecipeError
from tinsmith.ops.floatnode import FloatNode


def named_layers(layers: Iterable[FloatNode], patterns: Sequence[str], option: str) -> dict[str, str]:
    """The layers that patterns choose.

    A pattern that is a name means the layers of that name; any other is a regular expression, found anywhere in a
    name. A layer goes by its own name and by those of the user's nodes that it does the work of.

    Args:
        layers: Those that may be chosen.
        patterns: Names or regular expressions.
        option: What the user calls them, for messages.

    Returns:
        By the layer's name the first pattern that chooses it, in the order of the layers.

    Raises:
        RecipeError: A pattern is no regular expression, or matches none of the layers.
    """
    layers = tuple(layers)
    known: dict[str, list[str]] = {}
    for layer in layers:
        for name in dict.fromkeys((layer.name, *layer.sources)):
            known.setdefault(name, []).append(layer.name)
    found: dict[str, str] = {}
    for pattern in patterns:
        names = [pattern] if pattern in known else _matching(pattern, known, option)
        if not names:
            close = difflib.get_close_matches(pattern, known, n=3, cutoff=0.3)
            hint = f"Close names: {', '.join(map(repr, close))}." if close else ""
            raise RecipeError(f"{pattern!r} matches no layer with constant weights.", subject=option, hint=hint)
        for name in names:
            for layer_name in known[name]:
                found.setdefault(layer_name, pattern)
    return {layer.name: found[layer.name] for layer in layers if layer.name in found}


def _matching(pattern: str, names: Iterable[str], option: str) -> list[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise RecipeError(f"{pattern!r} is no regular expression: {error}.", subject=option) from error
    return [name for name in names if expression.search(name)]
