"""Bias correction: every channel's mean becomes what it is in the float network.

Rounded weights, and the errors of the layers before, shift the mean of each output channel. The shift is measured on
calibration data, with the inputs the chip has at that place, and taken out of the bias: as much of it as is no chance
of the samples, by the rule of James and Stein (W. James, C. Stein, "Estimation with Quadratic Loss", 1961, positive
part).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.walk import Adjusted, Visit, channel_means
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, FloatNode, Operand
from tinsmith.ops.passage import Weighted
from tinsmith.ops.ports import Kind
from tinsmith.targets import Target


def correct_bias(visit: Visit) -> Adjusted:
    """The node with a corrected bias; as it is where the chip's operator has none (MatMul)."""
    return with_corrected_bias(visit, Adjusted(visit.node, visit.format))


def with_corrected_bias(visit: Visit, given: Adjusted) -> Adjusted:
    """A node of possibly other weights, with the bias that makes its means those of the float network's node.

    Args:
        visit: The float network's node, and what reaches it.
        given: The node to correct.
    """
    node = given.node
    if not takes_bias(node, visit.weighted, visit.target):
        return given
    bias = visit.weighted.weights + 1
    rounded = FloatNodes([_rounded(visit, given)], node.outputs)
    name, output = node.input(0).name, node.outputs[0]

    def means(index: int) -> Array:
        return channel_means(rounded({name: visit.chip(index)})[output.name], visit.weighted.channels)

    shifts = certain(visit.wanted - np.stack(visit.run_all(means)))
    old = node.const(bias) if node.has(bias) else None
    values = shifts if old is None else np.broadcast_to(old, _channels_last(old, len(shifts))) + shifts
    return Adjusted(with_bias(node, bias, values.astype(np.float32)), given.format)


def certain(shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each channel's shifts, smaller the more samples disagree about it.

    Args:
        shifts: (samples, channels).

    Returns:
        (channels,): the mean times ``1 - (variance of the mean) / mean²``, 0 at least; the mean itself of one sample.
    """
    mean: NDArray[np.float64] = shifts.mean(axis=0)
    if len(shifts) == 1:
        return mean
    doubt = shifts.var(axis=0, ddof=1) / len(shifts)
    kept: NDArray[np.float64] = mean * np.maximum(0.0, 1 - doubt / np.maximum(np.square(mean), 1e-300))
    return kept


def takes_bias(node: FloatNode, weighted: Weighted, target: Target) -> bool:
    """Whether the chip's operator has a bias, used by this node or not."""
    bias = weighted.weights + 1
    ports = operators()[node.op_type].ports(with_bias(node, bias, np.zeros(1, np.float32)), target)
    return len(ports.inputs) > bias and ports.inputs[bias].kind is Kind.BIAS


def with_bias(node: FloatNode, index: int, values: NDArray[np.float32]) -> FloatNode:
    """The node with another bias, or with one, at an input's index."""
    name = node.input(index).name if node.has(index) else f"{node.name}|bias"
    inputs = [*node.inputs, None][: max(len(node.inputs), index + 1)]
    inputs[index] = Operand(name, values.shape, values.dtype, values)
    return replace(node, inputs=tuple(inputs))


def _channels_last(bias: Array, channels: int) -> tuple[int, ...]:
    return (*bias.shape[:-1], channels) if bias.ndim else (channels,)


def _rounded(visit: Visit, given: Adjusted) -> FloatNode:
    """The node with the weights the chip has."""
    node = given.node
    index = visit.weighted.weights
    weights = node.const(index)
    assert weights is not None
    integers = given.format.quantize(weights, visit.target.rounding)
    inputs = list(node.inputs)
    inputs[index] = replace(node.input(index), const=given.format.dequantize(integers))
    return replace(node, inputs=tuple(inputs))
