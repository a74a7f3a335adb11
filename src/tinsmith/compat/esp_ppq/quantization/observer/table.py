"""`OBSERVER_TABLE`: the algorithms by the names that settings take."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

OBSERVER_TABLE: Mapping[str, str] = MappingProxyType(
    {
        "minmax": "the largest magnitude",
        "kl": "least Kullback-Leibler divergence",
        "percentile": "99.99 % of all magnitudes",
        "mse": "least squared error, with the chip's rounding",
        "isotone": "calibrated as mse",
    }
)
"""What each stands for. Nothing can be added: see `QuantizationSetting`."""
