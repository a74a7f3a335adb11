"""What runs graphs."""

from __future__ import annotations

from tinsmith.compat.esp_ppq.rare_names import EXECUTOR
from tinsmith.compat.lazy import exports

_HOMES = {
    **EXECUTOR,
    "BaseGraphExecutor": "executor.base",
    "TorchExecutor": "executor.torch",
    "TorchQuantizeDelegator": "executor.torch",
}

__getattr__ = exports(__name__, _HOMES)
__all__ = list(_HOMES)
