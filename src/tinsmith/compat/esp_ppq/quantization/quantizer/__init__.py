"""Quantizers."""

from tinsmith.compat.esp_ppq.stand_ins import RUNTIMES, names

_HOMES = {
    "BaseQuantizer": "quantization.quantizer.base",
    **dict.fromkeys(
        [
            "EspdlCHPreInt16Quantizer",
            "EspdlCInt16Quantizer",
            "EspdlCQuantizer",
            "EspdlCW8A16Quantizer",
            "EspdlHPreInt16Quantizer",
            "EspdlInt16Quantizer",
            "EspdlQuantizer",
            "EspdlS3HPreInt16Quantizer",
            "EspdlS3Int16Quantizer",
            "EspdlS3Quantizer",
            "EspdlS3W8A16Quantizer",
            "EspdlW8A16Quantizer",
        ],
        "quantization.quantizer.espdl",
    ),
}
_ABSENT = {
    RUNTIMES: (
        "AscendQuantizer",
        "ExtQuantizer",
        "FPGAQuantizer",
        "GraphCoreQuantizer",
        "MNNQuantizer",
        "MetaxChannelwiseQuantizer",
        "MetaxTensorwiseQuantizer",
        "NCNNQuantizer",
        "NXP_Quantizer",
        "OnnxruntimeQuantizer",
        "OpenvinoQuantizer",
        "PPLCUDAQuantizer",
        "PPL_DSP_Quantizer",
        "PPL_DSP_TI_Quantizer",
        "RKNN_PerChannelQuantizer",
        "RKNN_PerTensorQuantizer",
        "TengineQuantizer",
        "TensorRTQuantizer",
        "TensorRTQuantizer_FP8",
        "TensorRTQuantizer_InputOnly",
    )
}

__getattr__, __all__ = names(__name__, _HOMES, _ABSENT)
