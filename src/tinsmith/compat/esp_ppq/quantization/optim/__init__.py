"""The passes."""

from tinsmith.compat.esp_ppq.stand_ins import REWRITES, RUNTIMES, names

_HOMES = {
    **dict.fromkeys(["QuantizationOptimizationPass", "QuantizationOptimizationPipeline"], "quantization.optim.base"),
    **dict.fromkeys(
        [
            "AdaroundPass",
            "BiasCorrectionPass",
            "ChannelwiseSplitPass",
            "ConvTransposeDecompositionPass",
            "EspdlAttentionFusionPass",
            "EspdlAttentionLegalizePass",
            "EspdlLUTFusionPass",
            "ExtensionPass",
            "GRUSplitPass",
            "HorizontalLayerSplitPass",
            "IsotoneCalibrationPass",
            "LayerwiseEqualizationPass",
            "LearnedStepSizePass",
            "MishFusionPass",
            "ParameterBakingPass",
            "ParameterQuantizePass",
            "PassiveParameterQuantizePass",
            "QuantAlignmentPass",
            "QuantConfigModifyPass",
            "QuantizeFusionPass",
            "QuantizeSimplifyPass",
            "RoundTuningPass",
            "RuntimeCalibrationPass",
            "SSDEqualizationPass",
            "SwishFusionPass",
            "TrainedQuantizationThresholdPass",
        ],
        "quantization.optim.passes",
    ),
}
_ABSENT = {
    RUNTIMES: (
        "MetaxGemmSplitPass",
        "NCNNFormatGemmPass",
        "NXPResizeModeChangePass",
        "NxpInputRoundingRefinePass",
        "NxpQuantizeFusionPass",
        "PPLDSPTIReCalibrationPass",
    ),
    REWRITES: (
        "ActivationEqualizationPass",
        "espdl_attention_platform_unsupported_reason",
        "finalize_espdl_attention_for_export",
        "legalize_espdl_attention_graph",
    ),
}

__getattr__, __all__ = names(__name__, _HOMES, _ABSENT)
