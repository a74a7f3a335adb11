"""What runs graphs."""

from __future__ import annotations

from tinsmith.compat.lazy import exports

_HOMES = {
    "BaseGraphExecutor": "executor.base",
    "TorchExecutor": "executor.torch",
    "TorchQuantizeDelegator": "executor.torch",
}

__getattr__ = exports(__name__, _HOMES)
__all__ = list(_HOMES)
