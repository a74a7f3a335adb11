"""The constants of esp-ppq: platforms, rounding, properties and states."""

from __future__ import annotations

from enum import Enum


class TargetPlatform(Enum):
    """Where, and how wide, an operator runs. Only ESP-DL's have a meaning here."""

    ESPDL_INT8 = 551
    ESPDL_INT16 = 552
    ESPDL_S3_INT8 = 553
    ESPDL_S3_INT16 = 554
    ESPDL_H_PRE_INT16 = 555
    ESPDL_S3_H_PRE_INT16 = 556
    ESPDL_C_INT8 = 557
    ESPDL_C_INT16 = 558
    ESPDL_C_H_PRE_INT16 = 559
    ESPDL_W8A16 = 560
    ESPDL_S3_W8A16 = 561
    ESPDL_C_W8A16 = 562

    MNN_INT8 = 100
    TRT_INT8 = 101
    NCNN_INT8 = 102
    OPENVINO_INT8 = 103
    TENGINE_INT8 = 104
    TRT_FP8 = 105
    ASC_INT8 = 106
    PPL_CUDA_INT8 = 201
    PPL_CUDA_INT4 = 202
    PPL_CUDA_FP16 = 203
    PPL_CUDA_MIX = 204
    PPL_DSP_INT8 = 301
    SNPE_INT8 = 302
    PPL_DSP_TI_INT8 = 303
    QNN_DSP_INT8 = 304
    HOST_INT8 = 401
    NXP_INT8 = 501
    FPGA_INT8 = 502
    RKNN_INT8 = 601
    METAX_INT8_C = 701
    METAX_INT8_T = 702
    HEXAGON_INT8 = 801
    GRAPHCORE_FP8 = 901

    FP32 = 0
    FP16 = 1
    BF16 = 2
    FP8 = 3
    INT8 = 4
    SOI = -1
    UNSPECIFIED = -2
    BOUNDARY = -3
    ONNX = -4
    NATIVE = -6
    ONNXRUNTIME = -7
    EXTENSION = -10086


class NetworkFramework(Enum):
    """Where a graph comes from."""

    PPL = 1
    ONNX = 2
    CAFFE = 3
    NXP = 4
    NATIVE = 5


class QuantizationVisibility(Enum):
    """Whether a tensor's quantization is exported."""

    FORCE_EXPORT = 1
    EXPORT_WHEN_ACTIVE = 2
    INTERNAL = 3


class RoundingPolicy(Enum):
    """How numbers are rounded."""

    ROUND_HALF_EVEN = 0
    ROUND_HALF_UP = 1
    ROUND_HALF_DOWN = 2
    ROUND_HALF_TOWARDS_ZERO = 3
    ROUND_HALF_FAR_FORM_ZERO = 4
    ROUND_TO_NEAR_INT = 5
    ROUND_UP = 6
    ROUND_DOWN = 7


class QuantizationStates(Enum):
    """What became of a tensor's quantization."""

    INITIAL = 1
    BAKED = 2
    OVERLAPPED = 3
    ACTIVATED = 4
    PASSIVE = 5
    PASSIVE_INIT = 6
    PASSIVE_BAKED = 7
    FP32 = 8
    SOI = -1
    DEQUANTIZED = -2
    DEACTIVED = -3

    @classmethod
    def is_activated(cls, state: QuantizationStates) -> bool:
        """Whether the tensor is quantized by this very configuration."""
        return state in (cls.ACTIVATED, cls.PASSIVE)


class QuantizationProperty(Enum):
    """Flags of a `QuantizationPolicy`."""

    PER_TENSOR = 1
    PER_CHANNEL = 2
    LINEAR = 4
    FLOATING = 8
    SYMMETRICAL = 16
    ASYMMETRICAL = 32
    POWER_OF_2 = 64
    DYNAMIC = 128

    def __or__(self, other: QuantizationProperty | int) -> int:
        return self.value | _flags(other)

    __ror__ = __or__

    def __and__(self, other: QuantizationProperty | int) -> int:
        return self.value & _flags(other)

    __rand__ = __and__

    def __add__(self, other: QuantizationProperty | int) -> int:
        return int(self.value + _flags(other))

    __radd__ = __add__


def _flags(value: QuantizationProperty | int) -> int:
    return int(value.value) if isinstance(value, QuantizationProperty) else value


class QuantizationPolicy:
    """A sum of properties.

    Args:
        policy: The sum.
    """

    def __init__(self, policy: int) -> None:
        self._policy = policy

    def has_property(self, property: QuantizationProperty) -> bool:
        """Whether a property is part of it."""
        return bool(self._policy & property.value)

    def to_dict(self) -> dict[str, bool]:
        """Every property, by name."""
        return {flag.name: self.has_property(flag) for flag in QuantizationProperty}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QuantizationPolicy) and other._policy == self._policy

    def __hash__(self) -> int:
        return hash(self._policy)
