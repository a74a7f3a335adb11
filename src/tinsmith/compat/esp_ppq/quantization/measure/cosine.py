"""Angles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tinsmith.compat.esp_ppq.quantization.measure.norm import flat, reduced


def torch_cosine_similarity(y_pred: Any, y_real: Any, reduction: str = "mean") -> Any:
    """The cosine of the angle between the samples of two tensors.

    Args:
        y_pred: A tensor, samples along axis 0.
        y_real: Another of the same shape.
        reduction: ``mean``, ``sum`` or ``none``, over samples.

    Raises:
        DataError: The shapes differ, or the reduction is unknown.
    """
    found, real = flat(y_pred, y_real)
    lengths = (found**2).sum(-1).sqrt() * (real**2).sum(-1).sqrt()
    return reduced((found * real).sum(-1) / lengths.clamp(min=1e-12), reduction)


def torch_cosine_similarity_as_loss(y_pred: Any, y_real: Any, reduction: str = "mean") -> Any:
    """One minus the similarity."""
    return 1 - torch_cosine_similarity(y_pred, y_real, reduction)


def numpy_cosine_similarity(x: ArrayLike, y: ArrayLike) -> float:
    """The cosine of the angle between two arrays."""
    one, other = np.ravel(x).astype(np.float64), np.ravel(y).astype(np.float64)
    return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12))
