"""What scripts give as data, as real numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tinsmith.errors import DataError


def floats(data: ArrayLike | Mapping[str, ArrayLike], subject: str) -> Any:
    """The data as float32: integers would count as what the chip gets.

    Args:
        data: Samples along axis 0; `{name: array}` for several inputs.
        subject: The argument, for messages.

    Raises:
        DataError: They are no numbers, or there are none.
    """
    if isinstance(data, Mapping):
        return {name: floats(array, subject) for name, array in data.items()}
    try:
        array = np.asarray(data, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"is no array of numbers: {error}.", subject=subject) from error
    if array.size == 0:
        raise DataError("holds no samples.", subject=subject, hint="Give at least one sample.")
    return array
