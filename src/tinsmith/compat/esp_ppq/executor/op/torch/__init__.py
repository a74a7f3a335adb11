"""The float functions of operators, where scripts look for them."""

from tinsmith.compat.esp_ppq.executor import op

__getattr__, __all__ = op.__getattr__, op.__all__
