"""Distributions."""

from __future__ import annotations

from typing import Any

from tinsmith.errors import DataError


def torch_KL_divergence(hist: Any, ref_hist: Any, eps: float = 1e-30) -> float:
    """How far a histogram is from another, by Kullback and Leibler, to base 10.

    Args:
        hist: Shares of bins that add up to one, 1-d.
        ref_hist: Of the same bins.
        eps: Added to each share.

    Raises:
        DataError: They are no histograms of the same bins.
    """
    if hist.ndim != 1 or hist.shape != ref_hist.shape:
        reason = f"have shapes {tuple(hist.shape)} and {tuple(ref_hist.shape)}."
        raise DataError(reason, subject="hist and ref_hist", hint="Give the same number of bins.")
    found, reference = hist.double(), ref_hist.double()
    return float((found * ((found + eps) / (reference + eps)).log10()).sum())
