"""The names of esp-ppq, over tinsmith's own functions: what runs, and what is printed, is the exact simulation."""

from __future__ import annotations

from tinsmith.compat.esp_ppq.rare_names import TOP
from tinsmith.compat.esp_ppq.setting_names import SETTINGS
from tinsmith.compat.lazy import exports

_HOMES = {
    **TOP,
    **SETTINGS,
    **dict.fromkeys(
        [
            "NetworkFramework",
            "QuantizationProperty",
            "QuantizationPolicy",
            "QuantizationStates",
            "QuantizationVisibility",
            "RoundingPolicy",
            "TargetPlatform",
            "TensorQuantizationConfig",
            "OperationQuantizationConfig",
        ],
        "core",
    ),
    "BaseGraph": "IR",
    "Operation": "IR",
    "QuantableOperation": "IR",
    "QuantableVariable": "IR",
    "Variable": "IR",
    "BaseGraphExecutor": "executor",
    "TorchExecutor": "executor",
    **dict.fromkeys(
        [
            "graphwise_error_analyse",
            "layerwise_error_analyse",
            "parameter_analyse",
            "statistical_analyse",
            "variable_analyse",
        ],
        "quantization.analyse",
    ),
}

__getattr__ = exports(__name__, _HOMES)
__all__ = list(_HOMES)
