"""Passes, where scripts look for them."""

from tinsmith.compat.esp_ppq.quantization import optim

__getattr__, __all__ = optim.__getattr__, optim.__all__
