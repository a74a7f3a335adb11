"""The elements of constants, and what quantized tensors stand for.

A quantized tensor is taken for the real numbers that its integers mean: constants become those numbers, for computed
values and inputs the smallest and largest of them are the value's range (`tinsmith.graph.ranges`).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from tinsmith.graph.ranges import Range
from tinsmith.importers.tflite.file import Array, Quantization, Tensor

_DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "FLOAT32": "<f4",
        "FLOAT16": "<f2",
        "FLOAT64": "<f8",
        "INT8": "i1",
        "INT16": "<i2",
        "INT32": "<i4",
        "INT64": "<i8",
        "UINT8": "u1",
        "UINT16": "<u2",
        "UINT32": "<u4",
        "UINT64": "<u8",
        "BOOL": "?",
    }
)
_QUANTIZED = ("INT4", "INT8", "UINT8", "INT16", "UINT16", "INT32", "INT64")
"""Types of quantized tensors; the widest are those of biases."""
_RANGED = ("INT4", "INT8", "UINT8", "INT16", "UINT16")


def is_quantized(tensor: Tensor) -> bool:
    """Whether the integers of a tensor stand for real numbers; all are zero where a narrow one has the scale zero."""
    if tensor.quantization is None or tensor.type not in _QUANTIZED:
        return False
    return tensor.type in _RANGED or bool(tensor.quantization.scale.any())


def dtype_of(tensor: Tensor) -> ir.DataType:
    """The type of a tensor's value in ONNX: float32 for what is quantized.

    Raises:
        ValueError: There is no such type (strings, resources, complex numbers).
    """
    if is_quantized(tensor):
        return ir.DataType.FLOAT
    if tensor.type not in _DTYPES:
        raise ValueError(f"{tensor.name!r} holds elements of type {tensor.type}")
    return ir.DataType.from_numpy(np.dtype(_DTYPES[tensor.type]))


def integers_of(tensor: Tensor) -> Array:
    """The elements of a constant as they are stored, whatever they stand for.

    Raises:
        ValueError: They do not fit the shape, or are of a type that has no numbers.
    """
    count = prod(tensor.shape)
    data = np.zeros(0, np.uint8) if tensor.data is None else tensor.data
    if tensor.type == "INT4":
        return _nibbles(data, count).reshape(tensor.shape)
    if tensor.type not in _DTYPES:
        raise ValueError(f"the constant {tensor.name!r} is of type {tensor.type}")
    dtype = np.dtype(_DTYPES[tensor.type])
    if tensor.sparse or data.size != count * dtype.itemsize:
        what = "is stored without its zeros" if tensor.sparse else f"has {data.size:,} bytes"
        raise ValueError(f"the constant {tensor.name!r} of shape {list(tensor.shape)} {what}")
    return np.frombuffer(data, dtype).reshape(tensor.shape)


def numbers_of(tensor: Tensor) -> Array:
    """The elements of a constant: real numbers (float32) where it is quantized.

    Raises:
        ValueError: As for `integers_of`.
    """
    stored = integers_of(tensor)
    if tensor.quantization is None or not is_quantized(tensor):
        return stored
    scale, zero = _along(tensor.quantization, stored.shape)
    # The sums that biases start are integers as well: float32 would not hold all of them.
    return np.asarray((stored.astype(np.float64) - zero) * scale.astype(np.float64), np.float32)


def range_of(tensor: Tensor) -> Range | None:
    """The smallest and largest real number of a quantized tensor; None where it is none, or wide like a bias."""
    quantization = tensor.quantization
    if quantization is None or tensor.type not in _RANGED or quantization.scale.size != 1:
        return None
    bits = int(tensor.type.lstrip("UINT"))
    low = 0 if tensor.type.startswith("U") else -(1 << (bits - 1))
    scale, zero = float(quantization.scale[0]), int(quantization.zero[0])
    if not scale:
        return None
    return (low - zero) * scale, (low + (1 << bits) - 1 - zero) * scale


def _along(quantization: Quantization, dims: tuple[int, ...]) -> tuple[Array, Array]:
    """Scales and zero points, ready to broadcast with the elements.

    Raises:
        ValueError: There are more or fewer than elements along their axis.
    """
    if quantization.scale.size == 1:
        return quantization.scale.reshape(()), quantization.zero.reshape(())
    if quantization.scale.size != dims[quantization.axis]:
        raise ValueError(f"there are {quantization.scale.size} scales for {dims[quantization.axis]} channels")
    shape = [1] * len(dims)
    shape[quantization.axis] = quantization.scale.size
    return quantization.scale.reshape(shape), quantization.zero.reshape(shape)


def _nibbles(data: Array, count: int) -> Array:
    """Integers of 4 bits, two to a byte, the first in the lower half."""
    if data.size != (count + 1) // 2:
        raise ValueError(f"{count} integers of 4 bits are in {data.size} bytes")
    wide = np.stack([data & 15, data >> 4], axis=-1).reshape(-1)[:count].astype(np.int8)
    return np.where(wide > 7, wide - 16, wide).astype(np.int8)
