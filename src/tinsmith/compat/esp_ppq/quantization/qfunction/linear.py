"""From floats to integers and back, in the format of a configuration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.compat.esp_ppq.core.config import TensorQuantizationConfig
from tinsmith.compat.esp_ppq.core.tensors import tensor as to_tensor
from tinsmith.compat.esp_ppq.utils.round import CHIPS, rounded
from tinsmith.errors import DataError

Array = NDArray[Any]
_TYPES: tuple[tuple[int, type[np.signedinteger[Any]]], ...] = (
    (8, np.int8),
    (16, np.int16),
    (32, np.int32),
    (64, np.int64),
)


def PPQLinearQuant_toInt(tensor: Any, config: TensorQuantizationConfig) -> Any:
    """The integers of a float tensor: what a file holds of it.

    Args:
        tensor: Of torch, in ONNX order.
        config: Its format.

    Returns:
        A tensor of int8, int16, int32 or int64, whichever holds the format's width.

    Raises:
        DataError: The format is a float's, or has other channels.
    """
    return to_tensor(integers(_array(tensor), config))


def PPQLinearQuantFunction(tensor: Any, config: TensorQuantizationConfig) -> Any:
    """A float tensor as its format holds it: rounded, and cut at the ends; as it is where the format is a float's."""
    if not config.exponents:
        return tensor
    found = np.ldexp(integers(_array(tensor), config).astype(np.float64), _exponents(config, _array(tensor).ndim))
    return to_tensor(found.astype(np.float32))


def integers(values: Array, config: TensorQuantizationConfig) -> Array:
    """The same as `PPQLinearQuant_toInt`, of arrays."""
    if not config.exponents:
        raise DataError("stays a float: it has no integers.", subject="config")
    exponents = _exponents(config, values.ndim)
    if config.channel_axis is not None and len(config.exponents) != values.shape[config.channel_axis]:
        reason = f"has {len(config.exponents)} channels, the tensor {values.shape[config.channel_axis]}."
        raise DataError(reason, subject="config")
    bits = config.num_of_bits
    kind = next(kind for width, kind in _TYPES if bits <= width)
    if bits in (8, 16) and config.rounding in CHIPS:
        return CHIPS[config.rounding].quantize(values, exponents, bits).astype(kind)
    whole = rounded(np.ldexp(values.astype(np.float64), -exponents), config.rounding)
    held = np.clip(np.nan_to_num(whole), float(config.quant_min), float(config.quant_max))
    full = held >= 2.0**63
    return np.where(full, np.array(config.quant_max, kind), np.where(full, 0, held).astype(kind))


def _exponents(config: TensorQuantizationConfig, rank: int) -> Array:
    found = np.asarray(config.exponents, dtype=np.int32)
    if config.channel_axis is None:
        return found.reshape(())
    return found.reshape([-1 if axis == config.channel_axis % rank else 1 for axis in range(rank)])


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else tensor)
