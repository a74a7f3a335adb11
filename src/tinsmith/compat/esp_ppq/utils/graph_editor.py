"""What cuts graphs."""

from tinsmith.compat.esp_ppq.stand_ins import REWRITES, names

__getattr__, __all__ = names(__name__, {}, {REWRITES: ("truncate_graph",)})
