"""Weights of ONNX models where they lie in memory: ONNX Runtime reads them there, nothing large is serialized."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx
    import onnxruntime

Array = NDArray[Any]

_EMBEDDED_BYTES = 1024
_LENT = ("f4", "f8")


def is_lent(array: Array) -> bool:
    """Whether an array is worth leaving where it is. Others, such as shapes, ONNX Runtime may want to see early."""
    return array.nbytes > _EMBEDDED_BYTES and array.dtype.str[1:] in _LENT


def initializers(arrays: Mapping[str, Array]) -> Iterator[onnx.TensorProto]:
    """Initializers of a graph: large ones say that somebody will `lend` them."""
    import onnx
    from onnx import helper, numpy_helper

    for name, array in arrays.items():
        if not is_lent(array):
            yield numpy_helper.from_array(np.asarray(array, order="C"), name)
            continue
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        proto = onnx.TensorProto(name=name, dims=array.shape, data_type=kind, data_location=onnx.TensorProto.EXTERNAL)
        for key, text in (("location", "memory"), ("offset", "0"), ("length", str(array.nbytes))):
            proto.external_data.add(key=key, value=text)
        yield proto


def lend(options: onnxruntime.SessionOptions, arrays: Mapping[str, Array]) -> object:
    """Give a session about to be made the large ones among its initializers.

    Returns:
        What must live as long as the session.
    """
    import onnxruntime

    lent = {name: np.ascontiguousarray(array) for name, array in arrays.items() if is_lent(array)}
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in lent.items()}
    if values:
        options.add_external_initializers(list(values), list(values.values()))
    return lent, values
