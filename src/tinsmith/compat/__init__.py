"""The names that existing scripts import: of esp-ppq (`tinsmith.compat.esp_ppq`) and of the ESP-DL v1 toolkit."""

from __future__ import annotations

import importlib
from typing import Any


def install() -> None:
    """Register the import roots ``esp_ppq`` and ``ppq`` where nothing of that name is installed.

    Raises:
        TinsmithError: A package of that name is there.
    """
    importlib.import_module("tinsmith.compat.roots").install()


def __getattr__(name: str) -> Any:
    if name in ("esp_ppq", "v1"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["install"]
