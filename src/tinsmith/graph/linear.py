"""Scaling and shifting what goes into and comes out of Conv, ConvTranspose, Gemm and MatMul, in their constants."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    Array,
    constant,
    get_float,
    get_int,
    get_ints,
    get_string,
    input_of,
    is_constant,
    present,
    set_constant,
    shape_of,
)

KINDS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators with a constant weight that the functions here change."""


def is_linear(node: ir.Node) -> bool:
    """Whether the node is linear with constant weights (and bias), in plain form (see `passes.gemm`)."""
    if node.op_type not in KINDS or not is_constant(input_of(node, 1)):
        return False
    if len(node.inputs) > 2 and node.inputs[2] is not None and not is_constant(node.inputs[2]):
        return False
    if node.op_type == "MatMul":
        return len(shape_of(present(node, 1))) == 2 and len(shape_of(present(node, 0))) >= 2
    if node.op_type == "Gemm" and len(node.inputs) > 2 and shape_of(present(node, 2)) != shape_of(present(node, 1))[1:]:
        return False
    plain = get_float(node, "alpha", 1.0) == 1 and get_float(node, "beta", 1.0) == 1
    return plain and not get_int(node, "transA", 0) and not get_int(node, "transB", 0)


def channel_axis(node: ir.Node) -> int:
    """The axis of inputs and outputs along which weights have their channels."""
    return -1 if node.op_type == "MatMul" else 1


def scale_outputs(node: ir.Node, scale: Array, shift: Array) -> bool:
    """Multiplies each output channel by ``scale`` and adds ``shift``, in weights and bias.

    Args:
        node: A linear node.
        scale: (channels,), float64.
        shift: (channels,), float64.

    Returns:
        False where the node cannot shift (MatMul has no bias).
    """
    if node.op_type == "MatMul" and np.any(shift):
        return False
    weights = _weights(node)
    if node.op_type == "Conv":
        scaled = weights * _column(scale, weights.ndim)
    elif node.op_type == "ConvTranspose":
        group = get_int(node, "group", 1)
        parts = weights.reshape(group, weights.shape[0] // group, *weights.shape[1:])
        scaled = (parts * scale.reshape(group, 1, -1, *(1 for _ in weights.shape[2:]))).reshape(weights.shape)
    else:
        scaled = weights * scale
    set_constant(node, 1, scaled.astype(np.float32))
    bias = constant(input_of(node, 2))
    if bias is not None or np.any(shift):
        old = 0.0 if bias is None else bias.astype(np.float64)
        _set_bias(node, np.broadcast_to(old * scale + shift, scale.shape))
    return True


def scale_inputs(node: ir.Node, scale: Array, shift: Array) -> bool:
    """Takes in ``scale · x + shift`` per input channel, so that the node can be fed x itself.

    Args:
        node: A linear node.
        scale: (channels,), float64.
        shift: (channels,), float64.

    Returns:
        False where the shift cannot be taken in: padding adds zeros, not shifts; a transposed convolution's borders see
        fewer products; MatMul has no bias.
    """
    if np.any(shift) and (node.op_type in ("MatMul", "ConvTranspose") or _padded(node)):
        return False
    weights = _weights(node)
    if node.op_type == "Conv":
        group = get_int(node, "group", 1)
        parts = weights.reshape(group, weights.shape[0] // group, *weights.shape[1:])
        tail = (1 for _ in weights.shape[2:])
        factors = scale.reshape(group, 1, -1, *tail)
        offsets = shift.reshape(factors.shape)
        sums = (parts * offsets).sum(axis=tuple(range(2, parts.ndim))).reshape(-1)
        scaled = (parts * factors).reshape(weights.shape)
    else:
        sums = shift @ weights if node.op_type == "Gemm" else np.zeros(1)
        scaled = weights * _column(scale, weights.ndim)
    set_constant(node, 1, scaled.astype(np.float32))
    if np.any(shift):
        bias = constant(input_of(node, 2))
        _set_bias(node, sums if bias is None else bias.astype(np.float64) + sums)
    return True


def _weights(node: ir.Node) -> Array:
    weights = constant(present(node, 1))
    assert weights is not None
    return weights.astype(np.float64)


def _column(vector: Array, rank: int) -> Array:
    return vector.reshape(-1, *(1 for _ in range(rank - 1)))


def _padded(node: ir.Node) -> bool:
    padded = any(get_ints(node, "pads", ())) or get_string(node, "auto_pad", "NOTSET") != "NOTSET"
    return node.op_type == "Conv" and padded


def _set_bias(node: ir.Node, bias: Array) -> None:
    set_constant(node, 2, np.ascontiguousarray(bias, dtype=np.float32), f"{present(node, 1).name}.bias")
