"""The operators of TensorFlow Lite, one file per family; a new file here is found by itself."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Imports every family, which registers its operators."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
