"""Keras on its torch backend."""

from __future__ import annotations

import os
import sys
from types import ModuleType

from tinsmith.errors import MissingExtraError
from tinsmith.extras import require

_PURPOSE = "reading Keras models"
_BACKEND = "KERAS_BACKEND"


def keras_on_torch() -> ModuleType | None:
    """Keras 3 on the torch backend, imported if nobody has yet; None where somebody has, on another backend.

    Raises:
        MissingExtraError: Keras 3 or PyTorch is not installed.
    """
    require("torch", "keras", _PURPOSE)
    keras = sys.modules.get("keras") or _imported()
    version = str(getattr(keras, "__version__", "?"))
    if not version.split(".")[0].isdigit() or int(version.split(".")[0]) < 3:
        hint = "Install it: pip install 'tinsmith[keras]'."
        raise MissingExtraError(f"needs Keras 3, and Keras {version} is installed.", subject=_PURPOSE, hint=hint)
    return keras if keras.backend.backend() == "torch" else None


def _imported() -> ModuleType:
    before = os.environ.get(_BACKEND)
    os.environ[_BACKEND] = "torch"
    try:
        return require("keras", "keras", _PURPOSE)
    finally:
        if before is None:
            del os.environ[_BACKEND]
        else:
            os.environ[_BACKEND] = before
