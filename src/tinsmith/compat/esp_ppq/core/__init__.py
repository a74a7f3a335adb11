"""Constants and the formats of tensors."""

from __future__ import annotations

from tinsmith.compat.esp_ppq.rare_names import CORE
from tinsmith.compat.lazy import exports

_HOMES = {
    **CORE,
    **dict.fromkeys(
        [
            "NetworkFramework",
            "QuantizationPolicy",
            "QuantizationProperty",
            "QuantizationStates",
            "QuantizationVisibility",
            "RoundingPolicy",
            "TargetPlatform",
        ],
        "core.quant",
    ),
    "OperationQuantizationConfig": "core.config",
    "TensorQuantizationConfig": "core.config",
}

__getattr__ = exports(__name__, _HOMES)
__all__ = list(_HOMES)
