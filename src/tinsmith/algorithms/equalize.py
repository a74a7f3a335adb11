"""Equalization: factors on channels that make the quantized network's output noise small.

Dividing a channel of a value by a factor, and letting the operators before and after it take the factor into their
weights, changes nothing in the float network but much in the quantized one: all channels of a tensor share one
exponent (all weights too, on chips without exponents per channel), and a channel much smaller than the largest keeps
few of its bits. The factors are chosen to make small

    Σ over values   cost of unit noise · step² / 12   +   Σ over weights   the same for the noise they cause

where a step is what the largest channel leaves the tensor (`tinsmith.algorithms.sensitivity` says what noise costs):
first with steps as real numbers, by gradient descent on the logarithms of the factors, then with steps that are
powers of two, by one more factor for each set of values that hang together, so that tensors fill their range.

Which channels share a factor, and where none can be: `tinsmith.algorithms.channels`. A Clip from zero (ReLU6) stays
what it is: a channel that its ceiling never cuts off may be scaled as far as the ceiling allows, one that it does cut
is left alone. What ceilings would do to data not seen is one more noise (`tinsmith.algorithms.ceilings`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinsmith.algorithms.channels import Classes, LinearSite, classes
from tinsmith.algorithms.factor_cost import FactorCost, factor_cost
from tinsmith.algorithms.fill import fill
from tinsmith.algorithms.portrait import Portrait, portraits
from tinsmith.algorithms.sensitivity import costs
from tinsmith.calibrate.session import Sample
from tinsmith.ops.floatnode import Array, FloatNode, Network, Operand
from tinsmith.ops.steps import upper_bound
from tinsmith.targets import Target

STEPS = 200
RATE = 0.05
RECENTER = 20
"""Steps of the descent between two computations of the reference the smooth maximum is taken around."""
MARGIN = 1.4
"""A channel that a Clip does not cut keeps so much room below its ceiling, for data not seen."""

Factors = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Equalized:
    """A network after equalization.

    Attributes:
        network: The same function, up to float rounding.
        factors: By value: what its elements were divided by, broadcast to its shape; values left alone are absent.
    """

    network: Network
    factors: Mapping[str, NDArray[np.float64]]


def equalize(
    model: ir.Model,
    network: Network,
    bits: Mapping[str, int],
    target: Target,
    samples: Sequence[Sample],
    kept: Set[str] = frozenset(),
) -> Equalized:
    """Choose factors and put them into the weights.

    Args:
        model: The canonical float model.
        network: Its nodes.
        bits: Width of each node by name.
        target: The chip: whether weights have exponents per channel.
        samples: Calibration samples, the more the better: ceilings depend on what is rare.
        kept: Nodes whose weights stay as they are.
    """
    partition = classes(network, kept)
    if partition.count == 1:
        return Equalized(network, {})
    values = [operand.name for operand in network.inputs if operand.dtype.kind == "f"]
    values += [output.name for node in network.nodes for output in node.outputs if output.dtype.kind == "f"]
    seen = portraits(model, values, samples)
    noise = costs(network, seen)
    low, high = limits(network, partition, seen)
    cost = factor_cost(network, partition, bits, target, seen, noise)
    logarithms = descend(cost, low, high)
    logarithms = fill(partition, seen, cost, logarithms, low, high)
    factors = np.exp(logarithms)
    changed = {name: factors[labels] for name, labels in partition.of.items() if labels.any()}
    return Equalized(scaled(network, partition, factors), changed)


def limits(network: Network, partition: Classes, seen: Mapping[str, Portrait]) -> tuple[Factors, Factors]:
    """Bounds of the factors' logarithms by class: 0 for class 0, and what the ceilings of Clips allow."""
    low, high = np.full(partition.count, -np.inf), np.full(partition.count, np.inf)
    low[0] = high[0] = 0.0
    for node in network.nodes:
        ceiling = upper_bound(node)
        if ceiling is None or np.isinf(ceiling) or node.input(0).name not in seen:
            continue
        labels = partition.of[node.input(0).name].ravel()
        reached = np.full(partition.count, -np.inf)
        np.maximum.at(reached, labels, seen[node.input(0).name].highest.ravel().astype(np.float64))
        met = np.unique(labels)
        cut = met[reached[met] >= ceiling]
        free = met[reached[met] < ceiling]
        low[cut], high[cut] = np.maximum(low[cut], 0.0), np.minimum(high[cut], 0.0)
        least = np.clip(reached[free] * MARGIN / ceiling, 1e-3, 1.0)
        low[free] = np.maximum(low[free], np.log(least))
    low = np.minimum(low, high)
    return low, high


def descend(cost: FactorCost, low: Factors, high: Factors) -> Factors:
    """Gradient descent (Adam) on the logarithms of the factors, kept within bounds.

    Returns:
        The logarithms, by class.
    """
    position = np.clip(np.zeros(len(low)), low, high)
    mean, square = np.zeros(len(low)), np.zeros(len(low))
    for step in range(1, STEPS + 1):
        if step % RECENTER == 1:
            cost.recenter(position)
        gradient = cost.gradient(position)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        pace = RATE * (1 - (step - 1) / STEPS)
        position = position - pace * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-30)
        position = np.clip(position, low, high)
    return position


def scaled(network: Network, partition: Classes, factors: Factors) -> Network:
    """The network with every value divided by its factors: changed weights, biases and constants, nothing else."""
    changed = {site.node.name: _scaled_node(site, factors) for site in partition.linear}
    for node, index in partition.sums:
        changed[node.name] = _scaled_sum(node, index, factors[partition.of[node.outputs[0].name]])
    return replace(network, nodes=tuple(changed.get(node.name, node) for node in network.nodes))


def _scaled_node(site: LinearSite, factors: Factors) -> FloatNode:
    node, weighted = site.node, site.weighted
    rows, columns = factors[site.rows], factors[site.columns]
    if np.all(rows == 1) and np.all(columns == 1):
        return node
    old = node.const(weighted.weights)
    assert old is not None
    weights = old.astype(np.float64) / _along(rows, old.ndim, weighted.rows)
    weights = weights * _along(columns, old.ndim, weighted.rows if weighted.columns is None else weighted.columns)
    inputs = list(node.inputs)
    inputs[weighted.weights] = _constant(node, weighted.weights, weights)
    bias = weighted.weights + 1
    if node.has(bias):
        values = node.const(bias)
        assert values is not None
        inputs[bias] = _constant(node, bias, np.broadcast_to(values, _bias_shape(values, len(rows))) / rows)
    return replace(node, inputs=tuple(inputs))


def _bias_shape(bias: Array, channels: int) -> tuple[int, ...]:
    return (*bias.shape[:-1], channels) if bias.ndim else (channels,)


def _scaled_sum(node: FloatNode, index: int, factors: NDArray[np.float64]) -> FloatNode:
    old = node.const(index)
    assert old is not None
    values = old / factors
    padded = (1,) * (values.ndim - old.ndim) + old.shape
    for axis, length in enumerate(padded):
        first = values.take([0], axis=axis)
        if length == 1 and np.array_equal(np.broadcast_to(first, values.shape), values):
            values = first
    inputs = list(node.inputs)
    inputs[index] = _constant(node, index, values)
    return replace(node, inputs=tuple(inputs))


def _constant(node: FloatNode, index: int, values: Array) -> Operand:
    """New elements for a constant input."""
    elements = np.ascontiguousarray(values, dtype=np.float32)
    return Operand(node.input(index).name, elements.shape, elements.dtype, elements)


def _along(values: Factors, rank: int, axis: int) -> Factors:
    form = [1] * rank
    form[axis] = -1
    return values.reshape(form)
