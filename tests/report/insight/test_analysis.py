"""Figures of the error analysis as a report has them."""

from __future__ import annotations

from math import inf, nan

import pytest

from tinsmith.report.insight.analysis import noise_of
from tinsmith.report.layer_error import LayerError


@pytest.mark.parametrize(
    ("noise", "ratio", "snr"),
    [(0.0, 0.0, None), (0.01, 0.01, 20.0), (inf, inf, -inf), (nan, inf, -inf)],
)
def test_only_what_has_no_noise_is_without_decibels(noise: float, ratio: float, snr: float | None) -> None:
    found = noise_of(LayerError("conv", "Conv", "int8", noise, 1.0, 0.0))
    assert (found.ratio, found.snr_db) == (ratio, snr)
