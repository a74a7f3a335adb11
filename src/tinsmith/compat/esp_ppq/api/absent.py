"""Folders of tensors, and streaming."""

from tinsmith.compat.esp_ppq.stand_ins import names
from tinsmith.compat.esp_ppq.tier2 import API_ABSENT

__getattr__, __all__ = names("tinsmith.compat.esp_ppq.api", {}, API_ABSENT)
