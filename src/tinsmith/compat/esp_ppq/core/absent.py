"""What describes tensors and formats by hand."""

from tinsmith.compat.esp_ppq.stand_ins import names
from tinsmith.compat.esp_ppq.tier2 import CORE_ABSENT

__getattr__, __all__ = names("tinsmith.compat.esp_ppq.core", {}, CORE_ABSENT)
