"""Dispatchers, where scripts look for them."""

from tinsmith.compat.esp_ppq import scheduler

__getattr__, __all__ = scheduler.__getattr__, scheduler.__all__
