"""tinsmith: trained networks shaped to fit Espressif chips, and run on the PC bit for bit as the chip would."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinsmith.errors import TinsmithError
    from tinsmith.espdl import read, write
    from tinsmith.pipeline import quantize
    from tinsmith.program import Program
    from tinsmith.quantized import Quantized
    from tinsmith.recipe import Recipe
    from tinsmith.report.compare import compare
    from tinsmith.report.evaluate import evaluate
    from tinsmith.report.graphwise import graphwise
    from tinsmith.report.insight.files import save_report
    from tinsmith.report.insight.gather import insight
    from tinsmith.report.layerwise import layerwise
    from tinsmith.simulator.run import Simulator, dequantize, simulate
    from tinsmith.simulator.twin import save_twin
    from tinsmith.verdict.deciding import check
    from tinsmith.verdict.result import Verdict

__version__ = "0.1.0"

_HOMES = {
    "Program": "tinsmith.program",
    "Quantized": "tinsmith.quantized",
    "Recipe": "tinsmith.recipe",
    "Simulator": "tinsmith.simulator.run",
    "TinsmithError": "tinsmith.errors",
    "Verdict": "tinsmith.verdict.result",
    "check": "tinsmith.verdict.deciding",
    "compare": "tinsmith.report.compare",
    "dequantize": "tinsmith.simulator.run",
    "evaluate": "tinsmith.report.evaluate",
    "graphwise": "tinsmith.report.graphwise",
    "insight": "tinsmith.report.insight.gather",
    "layerwise": "tinsmith.report.layerwise",
    "quantize": "tinsmith.pipeline",
    "read": "tinsmith.espdl",
    "save_report": "tinsmith.report.insight.files",
    "save_twin": "tinsmith.simulator.twin",
    "simulate": "tinsmith.simulator.run",
    "write": "tinsmith.espdl",
}

__all__ = [
    "Program",
    "Quantized",
    "Recipe",
    "Simulator",
    "TinsmithError",
    "Verdict",
    "__version__",
    "check",
    "compare",
    "dequantize",
    "evaluate",
    "graphwise",
    "insight",
    "layerwise",
    "quantize",
    "read",
    "save_report",
    "save_twin",
    "simulate",
    "write",
]


def __getattr__(name: str) -> Any:
    """Import public names on first use: `import tinsmith` alone costs nothing."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tinsmith' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
