"""What all settings have in common: they know their options and no others, and turn into JSON and back."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from tinsmith.compat.esp_ppq.core import quant
from tinsmith.errors import RecipeError

_ENUM = "__ppq_enum__"


@dataclass(eq=False)
class Settings:
    """Options with defaults. An option that is not there cannot be set."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_given", set())

    def __setattr__(self, name: str, value: Any) -> None:
        known = [field.name for field in fields(self)]
        kind = type(self).__name__
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Options: {', '.join(known)}."
            raise RecipeError(f"there is no option {name!r}.", subject=kind, hint=hint)
        before = self.__dict__.get(name)
        if isinstance(before, Settings) and not isinstance(value, type(before)):
            reason = f"{name} is a {type(value).__name__}, not a {type(before).__name__}."
            raise RecipeError(reason, subject=kind, hint=f"Set its options: setting.{name}.option = value.")
        object.__setattr__(self, name, value)
        if "_given" in self.__dict__:
            self.__dict__["_given"].add(name)

    def given(self, name: str) -> bool:
        """Whether somebody has set an option, be it to its default."""
        return name in self.__dict__["_given"]

    def all_given(self) -> list[str]:
        """The names of all options that somebody has set, those of parts behind a dot."""
        parts = [(name, part) for name, part in vars(self).items() if isinstance(part, Settings)]
        inner = [f"{name}.{option}" for name, part in parts for option in part.all_given()]
        return sorted([*self.__dict__["_given"], *inner])

    def mark(self, names: Iterable[str]) -> None:
        """Take options for set: what `all_given` gave."""
        for name in names:
            first, _, rest = name.partition(".")
            part = self.__dict__.get(first)
            if rest and isinstance(part, Settings):
                part.mark([rest])
            elif not rest and first in self.__dict__:
                self.__dict__["_given"].add(first)

    def settle(self) -> None:
        """Take what the options are now for their defaults."""
        self.__dict__["_given"].clear()
        for part in vars(self).values():
            if isinstance(part, Settings):
                part.settle()

    def changed(self, default: Settings) -> dict[str, Any]:
        """The options that differ from others', by name; those within settings are left out."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if not isinstance(getattr(self, field.name), Settings)
            and getattr(self, field.name) != getattr(default, field.name)
        }

    def plain(self) -> dict[str, Any]:
        """Every option, ready for JSON."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    def take(self, options: Mapping[str, Any], where: str = "setting") -> None:
        """Set options from what `plain` gave; those that are left out stay.

        Raises:
            RecipeError: There is no such option.
        """
        for name, value in options.items():
            inner = self.__dict__.get(name)
            if isinstance(inner, Settings) and isinstance(value, Mapping):
                inner.take(value, f"{where}.{name}")
            elif name not in self.__dict__ or getattr(self, name) != _enum(value, where):
                setattr(self, name, _enum(value, where))


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.plain()
    if isinstance(value, Enum):
        return {_ENUM: type(value).__name__, "name": value.name}
    return value


def _enum(value: Any, where: str) -> Any:
    """A member of an enumeration that JSON stands for, or the value as it is."""
    if not isinstance(value, Mapping) or set(value) != {_ENUM, "name"}:
        return value
    kind = getattr(quant, str(value[_ENUM]), None)
    if not isinstance(kind, type) or not issubclass(kind, Enum) or value["name"] not in kind.__members__:
        raise RecipeError(f"there is no {value[_ENUM]}.{value['name']}.", subject=where)
    return kind[value["name"]]
