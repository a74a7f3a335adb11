"""Squared distances."""

from __future__ import annotations

from typing import Any

from tinsmith.errors import DataError

_SMALLEST = 1e-7
"""Added to the power of the signal, so that a signal of zeros has a ratio."""


def reduced(values: Any, reduction: str) -> Any:
    """One number of one for each sample.

    Raises:
        DataError: The reduction is none of ``mean``, ``sum``, ``none``.
    """
    match reduction:
        case "mean":
            return values.mean()
        case "sum":
            return values.sum()
        case "none":
            return values
    raise DataError(f"is {reduction!r}.", subject="reduction", hint="Choose 'mean', 'sum' or 'none'.")


def flat(y_pred: Any, y_real: Any) -> tuple[Any, Any]:
    """Both with one row per sample.

    Raises:
        DataError: Their shapes differ.
    """
    if y_pred.shape != y_real.shape:
        raise DataError(f"have shapes {tuple(y_pred.shape)} and {tuple(y_real.shape)}.", subject="y_pred and y_real")
    if y_pred.ndim <= 1:
        y_pred, y_real = y_pred.reshape(1, -1), y_real.reshape(1, -1)
    return y_pred.flatten(1).float(), y_real.flatten(1).float()


def torch_mean_square_error(y_pred: Any, y_real: Any, reduction: str = "mean") -> Any:
    """The mean squared difference of each sample.

    Args:
        y_pred: A tensor, samples along axis 0.
        y_real: Another of the same shape.
        reduction: ``mean``, ``sum`` or ``none``, over samples.

    Raises:
        DataError: The shapes differ, or the reduction is unknown.
    """
    found, real = flat(y_pred, y_real)
    return reduced(((found - real) ** 2).mean(-1), reduction)


def torch_snr_error(y_pred: Any, y_real: Any, reduction: str = "mean") -> Any:
    """The power of the noise over that of the signal, of each sample.

    Args:
        y_pred: A tensor, samples along axis 0.
        y_real: The signal.
        reduction: ``mean``, ``sum`` or ``none``, over samples.

    Raises:
        DataError: The shapes differ, or the reduction is unknown.
    """
    found, real = flat(y_pred, y_real)
    noise, signal = ((found - real) ** 2).sum(-1), (real**2).sum(-1)
    return reduced(noise / (signal + _SMALLEST), reduction)
