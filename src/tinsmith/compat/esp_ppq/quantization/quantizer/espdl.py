"""One quantizer for each of ESP-DL's platforms."""

from tinsmith.compat.esp_ppq.core.quant import TargetPlatform
from tinsmith.compat.esp_ppq.quantization.quantizer.base import BaseQuantizer


class EspdlQuantizer(BaseQuantizer):
    """ESP32-P4 and ESP32-S31 in int8."""

    platform = TargetPlatform.ESPDL_INT8


class EspdlInt16Quantizer(BaseQuantizer):
    """ESP32-P4 and ESP32-S31 in int16."""

    platform = TargetPlatform.ESPDL_INT16


class EspdlS3Quantizer(BaseQuantizer):
    """ESP32-S3 in int8."""

    platform = TargetPlatform.ESPDL_S3_INT8


class EspdlS3Int16Quantizer(BaseQuantizer):
    """ESP32-S3 in int16."""

    platform = TargetPlatform.ESPDL_S3_INT16


class EspdlCQuantizer(BaseQuantizer):
    """The chips without vector unit in int8."""

    platform = TargetPlatform.ESPDL_C_INT8


class EspdlCInt16Quantizer(BaseQuantizer):
    """The chips without vector unit in int16."""

    platform = TargetPlatform.ESPDL_C_INT16


class EspdlHPreInt16Quantizer(BaseQuantizer):
    """ESP32-P4 and ESP32-S31 in int16: the sums are always exact."""

    platform = TargetPlatform.ESPDL_H_PRE_INT16


class EspdlS3HPreInt16Quantizer(BaseQuantizer):
    """ESP32-S3 in int16: the sums are always as the chip computes them."""

    platform = TargetPlatform.ESPDL_S3_H_PRE_INT16


class EspdlCHPreInt16Quantizer(BaseQuantizer):
    """The chips without vector unit in int16: the sums are always exact."""

    platform = TargetPlatform.ESPDL_C_H_PRE_INT16


class EspdlW8A16Quantizer(BaseQuantizer):
    """Refused: there are no kernels for it."""

    platform = TargetPlatform.ESPDL_W8A16


class EspdlS3W8A16Quantizer(BaseQuantizer):
    """Refused: there are no kernels for it."""

    platform = TargetPlatform.ESPDL_S3_W8A16


class EspdlCW8A16Quantizer(BaseQuantizer):
    """Refused: there are no kernels for it."""

    platform = TargetPlatform.ESPDL_C_W8A16
