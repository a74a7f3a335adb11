"""Numbers, arrays and tensors, each made into the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinsmith.compat.esp_ppq.core.tensors import tensor
from tinsmith.errors import DataError


def convert_any_to_numpy(x: Any, accept_none: bool = True) -> Any:
    """An array of a tensor, a number or a list; None of None.

    Raises:
        DataError: It is None, and that is not accepted.
    """
    if x is None:
        return _none(accept_none)
    return x.detach().cpu().numpy() if hasattr(x, "detach") else np.asarray(x)


def convert_any_to_torch_tensor(x: Any, accept_none: bool = True, dtype: Any = None, device: Any = "cpu") -> Any:
    """A tensor of an array, a number or a list; None of None.

    Args:
        x: What it is of.
        accept_none: Whether None is accepted.
        dtype: Of the tensor; its own by default.
        device: Where it is to be.

    Raises:
        DataError: It is None, and that is not accepted.
        MissingExtraError: torch is not installed.
    """
    if x is None:
        return _none(accept_none)
    found = x if hasattr(x, "detach") else tensor(np.asarray(x))
    return found.to(device) if dtype is None else found.to(device=device, dtype=dtype)


def convert_any_to_python_primary_type(x: Any, accept_none: bool = True) -> Any:
    """A number, or a list of them; text stays.

    Raises:
        DataError: It is None, and that is not accepted.
    """
    if x is None:
        return _none(accept_none)
    return x if isinstance(x, (str, int, float, list)) else np.asarray(convert_any_to_numpy(x)).tolist()


def convert_primary_type_to_list(x: Any) -> list[Any]:
    """A list of a number or a tuple."""
    return list(x) if isinstance(x, (list, tuple)) else [x]


def convert_any_to_string(x: Any) -> str:
    """Text."""
    return str(convert_any_to_python_primary_type(x))


def _none(accepted: bool) -> None:
    if not accepted:
        raise DataError("is None.", subject="x")
