"""`fuse_bn`: batch normalization becomes part of the layer before it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

_EPSILON = 1e-5
"""ONNX's default."""

Array = NDArray[Any]


def fuse_bn(model_proto: onnx.ModelProto) -> None:
    """Folds BatchNormalization nodes into the Conv or Gemm that computes their input.

    Left alone: those whose layer has other readers or is an output, shares its weights with another node, or has
    weights that are no constants.

    Args:
        model_proto: Changed in place.
    """
    graph = model_proto.graph
    for node in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        constants = {tensor.name: tensor for tensor in graph.initializer}
        readers = Counter(name for other in graph.node for name in other.input)
        readers.update(value.name for value in graph.output)
        layer = next((other for other in graph.node if node.input[0] in other.output), None)
        if layer is not None and _foldable(layer, node, constants, readers):
            _fold(graph, layer, node, constants)


def _foldable(
    layer: onnx.NodeProto,
    node: onnx.NodeProto,
    constants: dict[str, onnx.TensorProto],
    readers: Counter[str],
) -> bool:
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in (*layer.attribute, *node.attribute)}
    parameters = [*filter(None, layer.input[1:]), *node.input[1:]]
    plain = attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0 and not attributes.get("training_mode")
    return (
        layer.op_type in ("Conv", "Gemm")
        and not attributes.get("transA")
        and plain
        and readers[layer.output[0]] == 1
        and sum(map(bool, node.output)) == 1
        and all(name in constants for name in parameters)
        and all(readers[name] == 1 for name in filter(None, layer.input[1:]))
    )


def _fold(
    graph: onnx.GraphProto, layer: onnx.NodeProto, node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]
) -> None:
    scale, offset, mean, variance = (_wide(constants[name]) for name in node.input[1:5])
    options = {a.name: onnx.helper.get_attribute_value(a) for a in (*layer.attribute, *node.attribute)}
    factor = scale / np.sqrt(variance + options.get("epsilon", _EPSILON))
    weights = constants[layer.input[1]]
    values = _wide(weights)
    columns = layer.op_type == "Gemm" and not options.get("transB")
    spread = factor if columns else factor.reshape(-1, *[1] * (values.ndim - 1))
    before = _wide(constants[layer.input[2]]) if len(layer.input) > 2 and layer.input[2] else 0.0
    bias = ((before - mean) * factor + offset).reshape(-1)
    name = layer.input[2] if len(layer.input) > 2 and layer.input[2] else _free(f"{layer.input[1]}_bias", constants)
    if name in constants:
        constants[name].CopyFrom(_narrow(bias, name))
    else:
        graph.initializer.append(_narrow(bias, name))
    weights.CopyFrom(_narrow(values * spread, weights.name))
    layer.input[:] = [*layer.input[:2], name]
    layer.output[0] = node.output[0]
    graph.node.remove(node)


def _wide(tensor: onnx.TensorProto) -> Array:
    return numpy_helper.to_array(tensor).astype(np.float64)


def _narrow(values: Array, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(values.astype(np.float32), name)


def _free(name: str, taken: dict[str, onnx.TensorProto]) -> str:
    return name if name not in taken else _free(f"{name}_", taken)
