"""The search for settings."""

from tinsmith.compat.esp_ppq.stand_ins import names

_HOMES = {
    "AutoQuantSearchSetting": "autoquant.setting",
    "espdl_auto_quantize_onnx": "autoquant.interface",
    "load_best_setting": "autoquant.setting",
    "low_latency_candidate_filter": "autoquant.candidates",
}

__getattr__, __all__ = names(__name__, _HOMES)
