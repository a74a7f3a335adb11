"""What is wrong with a recipe, in words."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from tinsmith.errors import RecipeError
from tinsmith.recipe.fields import Strict

Fields = Mapping[str, FieldInfo]

REPEATED = {"scopes": "scope", "splits": "split"}
"""Fields of several tables, and what each of the tables is called in TOML."""


def refused(error: ValidationError, subject: str, fields: Fields, *, in_toml: bool) -> RecipeError:
    """The error a user reads: everything wrong at once.

    Args:
        error: What pydantic found.
        subject: The file or the like.
        fields: The recipe's.
        in_toml: Whether names are those of TOML.
    """
    found = [_told(e["loc"], e["type"], e["msg"], fields, in_toml) for e in error.errors()]
    hints = dict.fromkeys(hint for _, hint in found if hint)
    return RecipeError("; ".join(reason for reason, _ in found) + ".", subject=subject, hint=" ".join(hints))


def _told(place: tuple[int | str, ...], kind: str, message: str, fields: Fields, in_toml: bool) -> tuple[str, str]:
    """What is wrong at one place of a recipe, and the way out where there is more to say."""
    name = _name(place, in_toml)
    if kind == "extra_forbidden":
        known = [_spelled(option, in_toml) for option in _options(fields, place[:-1])]
        close = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Options: {', '.join(known)}."
        return f"there is no option {name!r}", hint
    if kind == "missing":
        return f"{name} is missing", ""
    if kind == "tuple_type":
        return f"{name}: should be a list", ""
    text = message.removeprefix("Value error, ")
    text = f"{text[:1].lower()}{text[1:]}"
    return (f"{name}: {text}" if name else text), ""


def _spelled(name: str, in_toml: bool) -> str:
    return REPEATED.get(name, name) if in_toml else name


def _name(place: Sequence[int | str], in_toml: bool) -> str:
    """``preprocessing.mean.0``; of several tables the number of the one, counted from 1: ``scope 2: bits``."""
    if len(place) > 1 and place[0] in REPEATED and isinstance(place[1], int):
        rest = ".".join(map(str, place[2:]))
        return f"{REPEATED[str(place[0])]} {place[1] + 1}" + (f": {rest}" if rest else "")
    return ".".join([_spelled(str(part), in_toml) for part in place[:1]] + [str(part) for part in place[1:]])


def _options(fields: Fields, place: Sequence[int | str]) -> list[str]:
    """The options that a table has."""
    for part in place:
        if not isinstance(part, int):
            inner = _model(fields[part].annotation)
            fields = {} if inner is None else inner.model_fields
    return list(fields)


def _model(annotation: Any) -> type[Strict] | None:
    """The table that a field's type is, or is about."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return annotation
    parts = (_model(part) for part in getattr(annotation, "__args__", ()))
    return next((part for part in parts if part is not None), None)
