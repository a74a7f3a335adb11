"""The functions that scripts call."""

from __future__ import annotations

from tinsmith.compat.esp_ppq.rare_names import API
from tinsmith.compat.esp_ppq.setting_names import SETTINGS
from tinsmith.compat.lazy import exports

_HOMES = {
    **API,
    **dict.fromkeys(
        [
            "espdl_quantize_onnx",
            "espdl_quantize_torch",
            "generate_test_value",
            "get_target_platform",
            "insert_streaming_cache_on_var",
        ],
        "api.espdl_interface",
    ),
    **SETTINGS,
    "SSDEqualizationSetting": "api.setting",
    **dict.fromkeys(
        [
            "DEQUANTIZE_GRAPH",
            "DISABLE_CUDA_KERNEL",
            "ENABLE_CUDA_KERNEL",
            "dispatch_graph",
            "dump_torch_to_onnx",
            "export_ppq_graph",
            "format_graph",
            "load_graph",
            "load_native_graph",
            "load_onnx_graph",
            "load_torch_model",
            "manop",
            "quantize_native_model",
            "quantize_onnx_model",
            "quantize_torch_model",
        ],
        "api.interface",
    ),
    **dict.fromkeys(
        ["AutoQuantSearchSetting", "espdl_auto_quantize_onnx", "load_best_setting", "low_latency_candidate_filter"],
        "autoquant",
    ),
    **dict.fromkeys(
        [
            "register_calibration_observer",
            "register_network_exporter",
            "register_network_parser",
            "register_network_quantizer",
            "register_operation_handler",
        ],
        "lib",
    ),
}

__getattr__ = exports(__name__, _HOMES)
__all__ = list(_HOMES)
