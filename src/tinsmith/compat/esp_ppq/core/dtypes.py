"""`DataType`: ONNX's element types."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np

from tinsmith.errors import DataError
from tinsmith.extras import require


class DataType(Enum):
    """Element types, numbered as in ONNX."""

    NONETYPE = 0
    FP32 = 1
    UINT8 = 2
    INT8 = 3
    UINT16 = 4
    INT16 = 5
    INT32 = 6
    INT64 = 7
    BOOL = 9
    FP16 = 10
    FP64 = 11
    UINT32 = 12
    UINT64 = 13

    @classmethod
    def convert_from_numpy(cls, dtype: Any) -> DataType:
        """Of numpy's type.

        Raises:
            DataError: ONNX has none of it.
        """
        for one in cls:
            if one is not cls.NONETYPE and cls.to_numpy(one) == np.dtype(dtype):
                return one
        raise DataError(f"is {dtype!r}, which has no counterpart.", subject="dtype")

    @classmethod
    def convert_from_torch(cls, dtype: Any) -> DataType:
        """Of torch's type.

        Raises:
            DataError: ONNX has none of it.
        """
        return cls.convert_from_numpy(str(dtype).removeprefix("torch."))

    @classmethod
    def to_numpy(cls, dtype: DataType | int) -> np.dtype[Any]:
        """The type of numpy.

        Raises:
            DataError: It is none.
        """
        from onnx import helper

        number = cls(dtype).value
        if number == cls.NONETYPE.value:
            raise DataError("is none.", subject="dtype")
        return np.dtype(helper.tensor_dtype_to_np_dtype(number))

    @classmethod
    def to_torch(cls, dtype: DataType | int) -> Any:
        """The type of torch.

        Raises:
            DataError: It is none.
            MissingExtraError: torch is not installed.
        """
        return getattr(require("torch", "torch", "types of tensors"), cls.to_numpy(dtype).name)
