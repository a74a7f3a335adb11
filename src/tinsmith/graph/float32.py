"""Half, bfloat and double models become float32 models."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import constant

_OTHER = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)
# Attributes that hold an element type: of Cast, of random and shape-filling operators, of sequences.
_TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype")


def to_float32(graph: ir.Graph) -> bool:
    """Turns every float tensor of another width into float32: weights, inputs, outputs, and what Casts produce.

    The chip's integers come from the float32 network; weights of half precision are exact in float32, and of double
    precision the last 29 bits go, far below what any integer format keeps.

    Args:
        graph: The graph, changed in place.

    Returns:
        Whether anything changed.
    """
    changed = False
    for value in graph.initializers.values():
        array = constant(value) if value.dtype in _OTHER or _type_of(value) in _OTHER else None
        if array is not None:
            with np.errstate(over="ignore"):
                value.const_value = ir.Tensor(array.astype(np.float32), name=value.name)
            value.type = ir.TensorType(ir.DataType.FLOAT)
            changed = True
    for value in (*graph.inputs, *graph.outputs):
        changed |= _retype(value)
    for node in graph.all_nodes():
        for name, attribute in tuple(node.attributes.items()):
            new = _attribute(name, attribute)
            if new is not None:
                node.attributes.add(new)
                changed = True
        for value in node.outputs:
            changed |= _retype(value)
    return changed


def _type_of(value: ir.Value) -> ir.DataType | None:
    return None if value.const_value is None else value.const_value.dtype


def _retype(value: ir.Value) -> bool:
    if value.dtype not in _OTHER or not isinstance(value.type, ir.TensorType):
        return False
    value.type = ir.TensorType(ir.DataType.FLOAT)
    return True


def _attribute(name: str, attribute: ir.Attr) -> ir.Attr | None:
    """The attribute with float32 for other floats; None where it needs no change."""
    if attribute.type == ir.AttributeType.TENSOR:
        tensor = attribute.as_tensor()
        if tensor.dtype in _OTHER:
            return ir.AttrTensor(name, ir.Tensor(tensor.numpy().astype(np.float32), name=tensor.name))
    if attribute.type == ir.AttributeType.INT and name in _TYPE_ATTRIBUTES and attribute.as_int() in _OTHER:
        return ir.AttrInt64(name, int(ir.DataType.FLOAT))
    return None
