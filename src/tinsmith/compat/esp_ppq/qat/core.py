"""Quantization-aware training, where scripts look for it."""

from tinsmith.compat.esp_ppq import qat

__getattr__, __all__ = qat.__getattr__, qat.__all__
