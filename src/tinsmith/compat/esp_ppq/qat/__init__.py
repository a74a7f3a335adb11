"""Quantization-aware training."""

from tinsmith.compat.esp_ppq.stand_ins import GRADIENTS, names

_ABSENT = {GRADIENTS: ("ENABLE_CALIBRATION", "QATController", "QConv1d", "QConv2d", "QConv3d", "QuantLayer")}

__getattr__, __all__ = names(__name__, {}, _ABSENT)
