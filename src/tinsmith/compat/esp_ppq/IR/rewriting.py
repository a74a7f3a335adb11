"""What changes graphs, searches them or is a command for that."""

from tinsmith.compat.esp_ppq.stand_ins import names
from tinsmith.compat.esp_ppq.tier2 import IR_ABSENT

__getattr__, __all__ = names("tinsmith.compat.esp_ppq.IR", {}, IR_ABSENT)
