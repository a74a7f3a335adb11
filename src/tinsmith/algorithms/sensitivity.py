"""How much noise on a value costs at the outputs of the network.

Noise of variance 1 on one element of a value makes noise at the network's outputs; its energy there, relative to the
energy of each output, is the element's *cost*. Costs are propagated from the outputs back, with noise taken as small
and independent from element to element: through a linear operator by its squared weights, with operators that move
data along, through any other by what it does to a small disturbance of the first calibration sample. A model, good
enough to weigh channels and tensors against each other; the exact simulation has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.portrait import Portrait
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, FloatNode, Network, Operand
from tinsmith.ops.passage import Passage, Weighted

Costs = dict[str, NDArray[np.float64]]
_DISTURBANCE = 0.01
"""Relative to the value's root mean square."""


def costs(network: Network, seen: Mapping[str, Portrait]) -> Costs:
    """The cost of unit noise on every element, by value; float64 arrays that broadcast to the value's shape."""
    found: Costs = {}
    for operand in network.outputs:
        if operand.name in seen:
            energy = float(seen[operand.name].power.sum(dtype=np.float64))
            _add(found, operand, np.full((1,) * operand.rank, 1 / max(energy, 1e-30)))
    rng = np.random.default_rng(0)
    for node in reversed(network.nodes):
        if any(output.name in found for output in node.outputs):
            _through(node, found, seen, rng)
    return found


def per_channel(cost: NDArray[np.float64], operand: Operand, axis: int) -> NDArray[np.float64]:
    """The costs of each channel's elements together."""
    whole = np.broadcast_to(cost, operand.shape)
    axis %= operand.rank
    found: NDArray[np.float64] = whole.sum(axis=tuple(d for d in range(operand.rank) if d != axis))
    return found


def squared_matrix(node: FloatNode, weighted: Weighted) -> NDArray[np.float64]:
    """Σ w² over the window, (output channels, input channels); (channels, 1) where depthwise."""
    found: NDArray[np.float64] = window(np.square(_weights(node, weighted)), weighted).sum(axis=-1)
    return found


def window(weights: NDArray[np.float64], weighted: Weighted) -> NDArray[np.float64]:
    """Weights as (output channels, input channels, window); one input channel where depthwise."""
    rows = np.moveaxis(weights, weighted.rows, 0)
    if weighted.columns is None:
        return rows.reshape(rows.shape[0], 1, -1)
    column = weighted.columns if weighted.columns > weighted.rows else weighted.columns + 1
    rows = np.moveaxis(rows, column, 1)
    return rows.reshape(rows.shape[0], rows.shape[1], -1)


def _weights(node: FloatNode, weighted: Weighted) -> NDArray[np.float64]:
    found = node.const(weighted.weights)
    assert found is not None
    return found.astype(np.float64)


def _add(found: Costs, operand: Operand, cost: NDArray[np.float64]) -> None:
    found[operand.name] = found[operand.name] + cost if operand.name in found else cost


def _through(node: FloatNode, found: Costs, seen: Mapping[str, Portrait], rng: np.random.Generator) -> None:
    passage = operators()[node.op_type].passage(node)
    if isinstance(passage, Weighted):
        _linear(node, passage, found)
    elif passage is Passage.MOVES and all(i is None or i.const is not None or i.dtype.kind == "f" for i in node.inputs):
        _moved(node, found)
    else:
        _disturbed(node, found, seen, rng)


def _linear(node: FloatNode, weighted: Weighted, found: Costs) -> None:
    source, output = node.input(0), node.outputs[0]
    rows = per_channel(found[output.name], output, weighted.channels)
    squares = squared_matrix(node, weighted)
    columns = rows * squares[:, 0] if weighted.columns is None else rows @ squares
    form = [1] * source.rank
    form[weighted.channels] = -1
    elements = int(np.prod(source.shape)) // source.shape[weighted.channels]
    _add(found, source, columns.reshape(form) / elements)


def _moved(node: FloatNode, found: Costs) -> None:
    """Every element of the outputs tells where it came from."""
    sources = [i for i in node.inputs if i is not None and i.const is None]
    starts = np.cumsum([1, *(int(np.prod(source.shape)) for source in sources)])
    if starts[-1] >= 2**24:
        return
    places = {
        source.name: np.arange(start, stop, dtype=np.float32).reshape(source.shape)
        for source, start, stop in zip(sources, starts, starts[1:], strict=False)
    }
    total = np.zeros(int(starts[-1]))
    for name, came in FloatNodes([node], node.outputs)(places).items():
        if name in found:
            weights = np.broadcast_to(found[name], came.shape).ravel()
            total += np.bincount(came.astype(np.int64).ravel(), weights=weights, minlength=len(total))
    for source, start, stop in zip(sources, starts, starts[1:], strict=False):
        _add(found, source, total[start:stop].reshape(source.shape))


def _disturbed(node: FloatNode, found: Costs, seen: Mapping[str, Portrait], rng: np.random.Generator) -> None:
    computed = [i for i in node.inputs if i is not None and i.const is None]
    if any(i.name not in seen for i in computed):
        return
    values: dict[str, Array] = {i.name: seen[i.name].first for i in computed}
    run = FloatNodes([node], node.outputs)
    before = run(values)
    for source in dict.fromkeys(computed):
        size = _DISTURBANCE * np.sqrt(float(seen[source.name].power.mean(dtype=np.float64)) + 1e-12)
        noise = (rng.standard_normal(source.shape) * size).astype(np.float32)
        after = run({**values, source.name: values[source.name] + noise})
        for output in node.outputs:
            if output.name in found and output.dtype.kind == "f":
                gain = np.square((after[output.name].astype(np.float64) - before[output.name]) / size)
                _add(found, source, _shared_out(source, output, found[output.name], gain))


def _shared_out(
    source: Operand, output: Operand, cost: NDArray[np.float64], gain: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The outputs' costs, times the gain of the noise, shared out evenly among the elements of each channel."""
    total = np.broadcast_to(cost, output.shape) * gain
    if source.rank == output.rank >= 2 and source.shape[1] == output.shape[1]:
        axes = (0, *range(2, source.rank))
        channels: NDArray[np.float64] = total.sum(axis=axes, keepdims=True)
        return channels / (np.prod(source.shape) / source.shape[1])
    return np.full((1,) * source.rank, total.sum() / np.prod(source.shape))
