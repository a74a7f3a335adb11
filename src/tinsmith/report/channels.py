"""The ranges of weights, channel by channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, FloatNode
from tinsmith.ops.passage import Weighted
from tinsmith.ops.ports import Kind
from tinsmith.report.insight.schema import Channels

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized


def channels(quantized: Quantized) -> dict[str, Channels]:
    """The ranges of the weights of every quantized layer that has constant ones, by the layer's name.

    Args:
        quantized: From `tinsmith.quantize`. Its weights are those of the chip: after equalization and rounding.
    """
    found: dict[str, Channels] = {}
    for node in quantized.network.nodes:
        index = weights_index(node, quantized)
        if index is None or quantized.placement[node.name].bits == 32:
            continue
        operand = node.input(index)
        chosen = quantized.formats.at(node.name, index, operand.name)
        if chosen is None or operand.const is None or not operand.const.size:
            continue
        largest = largest_of(operand.const, channel_axis(node, quantized, index))
        found[node.name] = Channels(
            operand.name, chosen.exponents, tuple(float(value) for value in largest), spread_bits(largest)
        )
    return found


def weights_index(node: FloatNode, quantized: Quantized) -> int | None:
    """Which input of a node holds constant weights; None where none does."""
    ports = operators()[node.op_type].ports(node, quantized.target)
    for index, port in enumerate(ports.inputs):
        if port.kind is Kind.WEIGHT and node.const(index) is not None:
            return index
    return None


def channel_axis(node: FloatNode, quantized: Quantized, index: int) -> int | None:
    """The axis of weights along the channels of the output; None where there is no such axis."""
    port = operators()[node.op_type].ports(node, quantized.target).inputs[index]
    if port.axis is not None:
        return port.axis
    passage = operators()[node.op_type].passage(node)
    return passage.rows if isinstance(passage, Weighted) and passage.weights == index else None


def largest_of(weights: Array, axis: int | None) -> NDArray[np.float64]:
    """Largest magnitudes: (channels,), or (1,) where there is no axis of channels."""
    heavy = np.abs(weights.astype(np.float64))
    rows = heavy.reshape(1, -1) if axis is None else np.moveaxis(heavy, axis, 0).reshape(heavy.shape[axis], -1)
    found: NDArray[np.float64] = rows.max(axis=1)
    return found


def spread_bits(largest: NDArray[np.float64]) -> float:
    """log2 of the largest of some ranges over the median one; ranges of zero do not count."""
    present = largest[largest > 0]
    return float(np.log2(present.max() / np.median(present))) if present.size else 0.0
