"""Dispatchers."""

from tinsmith.compat.esp_ppq.stand_ins import REWRITES, names

_HOMES = dict.fromkeys(
    [
        "DISPATCHER_TABLE",
        "AggresiveDispatcher",
        "AllinDispatcher",
        "ConservativeDispatcher",
        "GraphDispatcher",
        "PPLNNDispatcher",
        "Perseus",
        "PointDispatcher",
    ],
    "scheduler.base",
)
_ABSENT = {REWRITES: ("reverse_tracing_pattern", "value_tracing_pattern")}

__getattr__, __all__ = names(__name__, _HOMES, _ABSENT)
