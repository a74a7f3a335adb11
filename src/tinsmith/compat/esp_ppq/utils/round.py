"""Rounding, by tinsmith's one definition (`tinsmith.quant.rounding`) where a chip rounds so."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.compat.esp_ppq.core.quant import RoundingPolicy
from tinsmith.compat.esp_ppq.core.tensors import tensor
from tinsmith.errors import DataError, RecipeError
from tinsmith.quant.rounding import Rounding

CHIPS = {
    RoundingPolicy.ROUND_HALF_EVEN: Rounding.HALF_EVEN,
    RoundingPolicy.ROUND_HALF_UP: Rounding.HALF_UP,
}
"""How the chips round."""

_WHOLE = 2.0**31
"""Beyond, float32 has no fractions, and the chips' own conversion saturates."""

Array = NDArray[Any]


def ppq_tensor_round(value: Any, policy: RoundingPolicy = RoundingPolicy.ROUND_HALF_EVEN) -> Any:
    """A tensor of floats, rounded to whole numbers.

    Args:
        value: Of torch.
        policy: How.

    Returns:
        A tensor of the same type, without gradients.

    Raises:
        DataError: It is no tensor.
        RecipeError: There is no such policy for tensors.
    """
    if not hasattr(value, "detach"):
        raise DataError(f"is a {type(value).__name__}, not a tensor of torch.", subject="value")
    return tensor(rounded(value.detach().cpu().numpy(), policy)).to(value.device)


def ppq_numerical_round(value: float, policy: RoundingPolicy = RoundingPolicy.ROUND_HALF_EVEN) -> int:
    """A number, rounded to a whole one.

    Raises:
        RecipeError: There is no such policy.
    """
    if policy is RoundingPolicy.ROUND_TO_NEAR_INT:
        policy = RoundingPolicy.ROUND_HALF_EVEN
    return int(rounded(np.float64(value), policy))


def ppq_round_to_power_of_2(value: float, policy: RoundingPolicy = RoundingPolicy.ROUND_UP) -> float:
    """A number's magnitude, rounded to a power of two; zero stays.

    Args:
        value: Any number; the sign is kept.
        policy: How its logarithm is rounded.

    Raises:
        RecipeError: There is no such policy.
    """
    if value == 0:
        return 0.0
    return math.copysign(2.0 ** ppq_numerical_round(math.log2(abs(value)), policy), value)


def rounded(values: Array | np.floating[Any], policy: RoundingPolicy) -> Array:
    """Floats, rounded to whole ones of the same type."""
    array = np.asarray(values)
    if policy in CHIPS:
        whole = CHIPS[policy].to_int(np.clip(np.nan_to_num(array), -_WHOLE, _WHOLE)).astype(array.dtype)
        return np.asarray(np.where(np.abs(array) < _WHOLE, whole, array))
    size, sign = np.abs(array), np.sign(array)
    match policy:
        case RoundingPolicy.ROUND_UP:
            found = np.ceil(array)
        case RoundingPolicy.ROUND_DOWN:
            found = np.floor(array)
        case RoundingPolicy.ROUND_HALF_DOWN:
            found = np.ceil(array - 0.5)
        case RoundingPolicy.ROUND_HALF_TOWARDS_ZERO:
            found = sign * np.ceil(size - 0.5)
        case RoundingPolicy.ROUND_HALF_FAR_FORM_ZERO:
            found = sign * np.floor(size + 0.5)
        case _:
            hint = "The chips have ROUND_HALF_EVEN and ROUND_HALF_UP."
            raise RecipeError(f"tensors are not rounded by {policy}.", subject="policy", hint=hint)
    return np.asarray(found, dtype=array.dtype)
