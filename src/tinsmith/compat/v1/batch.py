"""A network of one sample made to take any number of them, where it can."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

NAME = "N"
_SAMPLES = 3
_RELATIVE = 1e-4
"""Of the largest result: ONNX Runtime adds in another order for several samples."""

Array = NDArray[Any]


def open_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with an open first dimension, or as it is where several samples do not give what each gives alone.

    Args:
        model: Static shapes, batch 1. Not changed.

    Returns:
        Another model, or the same; then a warning says so.
    """
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    for value in (*opened.graph.input, *opened.graph.output):
        dims = value.type.tensor_type.shape.dim
        if not dims or dims[0].dim_value != 1:
            return _kept(model)
        dims[0].Clear()
        dims[0].dim_param = NAME
    _free_reshapes(opened)
    del opened.graph.value_info[:]
    return opened if _takes_several(opened) else _kept(model)


def _kept(model: onnx.ModelProto) -> onnx.ModelProto:
    warnings.warn(
        "the optimized model takes one sample at a time: some of its layers work along the batch. The Evaluator takes "
        "batches all the same.",
        stacklevel=4,
    )
    return model


def _free_reshapes(model: onnx.ModelProto) -> None:
    """Reshapes that begin with 1 take over their input's first dimension instead."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        shape = numpy_helper.to_array(constants[node.input[1]])
        zeros = any(a.name == "allowzero" and a.i for a in node.attribute)
        if shape.size and shape[0] == 1 and not zeros:
            name = f"{node.name}.{NAME}"
            free = np.concatenate([np.zeros(1, np.int64), shape[1:].astype(np.int64)])
            model.graph.initializer.append(numpy_helper.from_array(free, name))
            node.input[1] = name
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _takes_several(model: onnx.ModelProto) -> bool:
    """Whether several random samples give together what each gives alone."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    rng = np.random.default_rng(0)
    samples: dict[str, Array] = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [_SAMPLES, *(dim.dim_value for dim in kind.shape.dim[1:])]
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        samples[value.name] = rng.standard_normal(shape).astype(dtype)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        together = session.run(None, samples)
        for index in range(_SAMPLES):
            alone = session.run(None, {name: array[index : index + 1] for name, array in samples.items()})
            if not all(_close(one, all_[index : index + 1]) for one, all_ in zip(alone, together, strict=True)):
                return False
    except Exception:  # ONNX Runtime raises its own types, none of them public, for shapes that do not fit
        return False
    return True


def _close(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    return bool(np.abs(one - other).max(initial=0.0) <= _RELATIVE * max(np.abs(other).max(initial=0.0), 1e-30))
