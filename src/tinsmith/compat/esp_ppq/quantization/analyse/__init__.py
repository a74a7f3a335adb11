"""Where the error comes from: the analyses of the tutorials, on the exact simulator."""

from __future__ import annotations

from tinsmith.compat.lazy import exports

_HOMES = {
    "graphwise_error_analyse": "quantization.analyse.graphwise",
    "statistical_analyse": "quantization.analyse.statistical",
    "layerwise_error_analyse": "quantization.analyse.layerwise",
    "parameter_analyse": "quantization.analyse.layerwise",
    "variable_analyse": "quantization.analyse.layerwise",
}

__getattr__ = exports(__name__, _HOMES)
__all__ = list(_HOMES)
