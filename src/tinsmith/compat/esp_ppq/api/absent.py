"""Folders of tensors, and streaming."""

from tinsmith.compat.esp_ppq.rare_names import API_ABSENT
from tinsmith.compat.esp_ppq.stand_ins import names

__getattr__, __all__ = names("tinsmith.compat.esp_ppq.api", {}, API_ABSENT)
