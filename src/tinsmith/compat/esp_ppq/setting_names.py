"""The names of settings, which scripts import from the package and from its `api`."""

from __future__ import annotations

SETTINGS = dict.fromkeys(
    (
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
        "TQTSetting",
        "TemplateSetting",
        "WeightSplitSetting",
    ),
    "api.setting",
)
"""The module of each."""
