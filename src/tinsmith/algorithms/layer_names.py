"""Which layers a user means: by their exact names, or by regular expressions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence

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
        for name in meant(pattern, known, "layer with constant weights", option):
            for layer_name in known[name]:
                found.setdefault(layer_name, pattern)
    return {layer.name: found[layer.name] for layer in layers if layer.name in found}


def meant(pattern: str, known: Collection[str], what: str, option: str) -> list[str]:
    """The names a user means: one that is given exactly, else those in which a regular expression is found.

    Args:
        pattern: A name or a regular expression.
        known: The names there are.
        what: What goes by them, for messages.
        option: Where the user says so, for messages.

    Raises:
        RecipeError: It is no regular expression, or found in none of them; names close ones.
    """
    if pattern in known:
        return [pattern]
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise RecipeError(f"{pattern!r} is no regular expression: {error}.", subject=option) from error
    found = [name for name in known if expression.search(name)]
    if not found:
        close = difflib.get_close_matches(pattern, known, n=3, cutoff=0.3)
        hint = f"Close names: {', '.join(map(repr, close))}." if close else ""
        raise RecipeError(f"{pattern!r} matches no {what}.", subject=option, hint=hint)
    return found
