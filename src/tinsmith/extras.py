"""Optional dependencies: imported where they are used, by name, with one line of help where they are absent."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from tinsmith.errors import MissingExtraError


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Imports an optional dependency.

    Args:
        module: What is imported, such as ``torch``.
        extra: The extra of tinsmith that brings it.
        purpose: What needs it, for the message: ``reading PyTorch models``.

    Returns:
        The module.

    Raises:
        MissingExtraError: It is not installed; says what to install.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        hint = f"Install it: pip install 'tinsmith[{extra}]'."
        raise MissingExtraError(f"needs {missing}, which is not installed.", subject=purpose, hint=hint) from error


def installed(module: str) -> bool:
    """Whether an optional dependency is there, without importing it."""
    return importlib.util.find_spec(module) is not None
