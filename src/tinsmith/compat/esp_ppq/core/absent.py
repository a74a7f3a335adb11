"""What describes tensors and formats by hand."""

from tinsmith.compat.esp_ppq.rare_names import CORE_ABSENT
from tinsmith.compat.esp_ppq.stand_ins import names

__getattr__, __all__ = names("tinsmith.compat.esp_ppq.core", {}, CORE_ABSENT)
