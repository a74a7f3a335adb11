"""The float functions of operators."""

from tinsmith.compat.esp_ppq.stand_ins import KERNELS, names

_HOMES = {"DEFAULT_BACKEND_TABLE": "executor.op.torch.default"}
_ABSENT = {
    KERNELS: (
        "ACADEMIC_BACKEND_TABLE",
        "ESPDL_QUANT_BACKEND_TABLE",
        "EXTENSION_BACKEND_TABLE",
        "NXP_BACKEND_TABLE",
        "ONNX_BACKEND_TABLE",
        "PPL_DSP_BACKEND_TABLE",
        "PPL_GPU_BACKEND_TABLE",
        "TorchBackendContext",
    )
}

__getattr__, __all__ = names(__name__, _HOMES, _ABSENT)
