"""Types of a recipe's fields: strict, but for what TOML and people write differently."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
)

from tinsmith.errors import RecipeError
from tinsmith.targets import Version


def _several(value: Any) -> Any:
    """One number where several may stand."""
    return (value,) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _extents(value: Any) -> int | tuple[int, int]:
    """The shorter side, or height and width."""
    parts = value if isinstance(value, (list, tuple)) else (value,)
    if len(parts) not in (1, 2) or any(type(part) is not int or part < 1 for part in parts):
        raise ValueError("should be height and width, or the length of the shorter side")
    return (parts[0], parts[1]) if len(parts) == 2 else int(parts[0])


def _version(text: str) -> str:
    """One spelling of each version."""
    try:
        return str(Version.of(text))
    except RecipeError as error:
        raise ValueError(f"{error.reason} {error.hint}".rstrip(". ")) from error


def _share(value: Any) -> float:
    """``0.1`` or ``10%``."""
    percent = isinstance(value, str) and value.rstrip().endswith("%")
    try:
        number = float(value.rstrip()[:-1]) / 100 if percent else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 < number <= 1:
        raise ValueError("should be a share: above 0 and up to 1, or a percentage such as '10%'")
    return float(number)


def _as_is(value: Any) -> Any:
    return value


# TOML has lists where Python has tuples; their elements stay strict.
Extent = Annotated[int, Field(gt=0)]
Numbers = Annotated[tuple[float, ...], Field(strict=False), BeforeValidator(_several)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
SomeNames = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
Shape = Annotated[tuple[Extent, ...], Field(strict=False)]
EspDl = Annotated[str, AfterValidator(_version)]
Size = Annotated[int | tuple[int, int], PlainValidator(_extents), PlainSerializer(_as_is, return_type=Any)]
Share = Annotated[float, PlainValidator(_share), PlainSerializer(_as_is, return_type=float)]


class Strict(BaseModel):
    """Knows its options and no others; never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
