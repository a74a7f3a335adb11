"""What changes graphs, searches them or is a command for that."""

from tinsmith.compat.esp_ppq.rare_names import IR_ABSENT
from tinsmith.compat.esp_ppq.stand_ins import names

__getattr__, __all__ = names("tinsmith.compat.esp_ppq.IR", {}, IR_ABSENT)
