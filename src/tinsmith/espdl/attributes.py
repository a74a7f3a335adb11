"""Attributes between Python and the file: which Python value goes into which field.

int → INT, float → FLOAT, str → STRING, `Tensor` → TENSOR, a tuple of one kind of them → INTS, FLOATS, STRINGS. numpy's
numbers count as Python's, a boolean as an integer, a tuple that mixes integers and fractions as FLOATS, an empty tuple
as INTS (an empty list of another type comes back as one of integers). Fractions are single precision in the file.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from tinsmith.espdl.fields import AttributeType
from tinsmith.program import Array, Tensor

_SINGLE: tuple[tuple[type, AttributeType], ...] = (
    (Integral, AttributeType.INT),
    (Real, AttributeType.FLOAT),
    (str, AttributeType.STRING),
    (Tensor, AttributeType.TENSOR),
)
_SEVERAL: tuple[tuple[type, AttributeType], ...] = (
    (Integral, AttributeType.INTS),
    (Real, AttributeType.FLOATS),
    (str, AttributeType.STRINGS),
)


def kind_of(value: Any) -> AttributeType:
    """The type under which the file keeps an attribute.

    Raises:
        TypeError: The file has no place for such a value.
    """
    for item, kind in _SINGLE:
        if isinstance(value, item):
            return kind
    for item, kind in _SEVERAL:
        if isinstance(value, tuple) and all(isinstance(element, item) for element in value):
            return kind
    raise TypeError(f"{value!r} is not a number, a string, a tensor, or a tuple of numbers or of strings")


def singles(values: Any) -> Array:
    """float32, little-endian, of Python numbers.

    Raises:
        OverflowError: A finite number is infinite in single precision.
    """
    wide = np.array(values, np.float64)
    with np.errstate(over="ignore"):
        single = wide.astype("<f4")
    if not np.array_equal(np.isinf(wide), np.isinf(single)):
        raise OverflowError(f"{values} exceeds single precision")
    return single
