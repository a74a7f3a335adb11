"""Names of a package that are imported on first use, so that importing the package costs nothing."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def exports(package: str, homes: Mapping[str, str], others: Iterable[str] = ()) -> Callable[[str], Any]:
    """A module's ``__getattr__``.

    Args:
        package: The module it is for.
        homes: By name, the module that defines it, relative to ``tinsmith.compat.esp_ppq``.
        others: Names that are there as well, which a misspelt one may mean.

    Returns:
        The function. A name that is not there raises `AttributeError` with the closest one that is.
    """

    def load(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(f"tinsmith.compat.esp_ppq.{homes[name]}"), name)
        close = difflib.get_close_matches(name, [*homes, *others], n=1)
        hint = f" Did you mean {close[0]!r}?" if close and not name.startswith("_") else ""
        raise AttributeError(f"module {package!r} has no attribute {name!r}.{hint}")

    return load
