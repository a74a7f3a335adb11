"""Graphs, operators and variables."""

from __future__ import annotations

from tinsmith.compat.esp_ppq.rare_names import IR
from tinsmith.compat.lazy import exports

_HOMES = {
    **IR,
    "BaseGraph": "IR.base.graph",
    "Operation": "IR.base.graph",
    "Variable": "IR.base.graph",
    "QuantableOperation": "IR.quantize",
    "QuantableVariable": "IR.quantize",
}

__getattr__ = exports(__name__, _HOMES)
__all__ = list(_HOMES)
