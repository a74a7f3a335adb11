"""Kernels for graphics cards."""

from tinsmith.compat.esp_ppq.stand_ins import KERNELS, names

__getattr__, __all__ = names(__name__, {}, {KERNELS: ("CUDA", "ComplieHelper")})
