"""The functions that scripts call."""

from __future__ import annotations

from tinsmith.compat.lazy import exports

_HOMES = {
    **dict.fromkeys(
        [
            "espdl_quantize_onnx",
            "espdl_quantize_torch",
            "get_target_platform",
            "insert_streaming_cache_on_var",
        ],
        "api.espdl_interface",
    ),
    **dict.fromkeys(
        [
            "ActivationQuantizationSetting",
            "BiasCorrectionSetting",
            "BlockwiseReconstructionSetting",
            "ChannelSplitSetting",
            "DispatchingTable",
            "EqualizationSetting",
            "GraphFormatSetting",
            "LSQSetting",
            "LUTOptimizationSetting",
            "ParameterQuantizationSetting",
            "QuantizationFusionSetting",
            "QuantizationSetting",
            "QuantizationSettingFactory",
            "SSDEqualizationSetting",
            "TQTSetting",
            "TemplateSetting",
            "WeightSplitSetting",
        ],
        "api.setting",
    ),
}

__getattr__ = exports(__name__, _HOMES)
__all__ = list(_HOMES)
