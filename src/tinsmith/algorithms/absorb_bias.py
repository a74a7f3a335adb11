"""Absorption of biases: what the channels of a value have in common moves into the biases of the next layers.

A value's exponent has to reach as far as its largest magnitude. A channel that lies between 3 and 5 wastes most of its
range: with 4 subtracted from it, in the bias of the layer that computes it, and added again in the biases of the layers
that read it, two bits are won and the function stays what it was. Where such a constant may go is found by
`tinsmith.algorithms.shift_paths`: behind a layer without an activation, a channel's range is centred; before a Relu or
a Clip, a channel that the data show is never cut is lowered as far as it can be, with a reserve for data not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinsmith.algorithms.bias_correction import with_bias
from tinsmith.algorithms.portrait import Portrait, portraits
from tinsmith.algorithms.sensitivity import window
from tinsmith.algorithms.shift_paths import ShiftPath, Taker, shift_paths
from tinsmith.calibrate.session import Sample
from tinsmith.ops.floatnode import FloatNode, Network
from tinsmith.ops.passage import Weighted
from tinsmith.ops.steps import upper_bound

RESERVE = 0.25
"""A channel before a Relu or Clip keeps so much of its range between itself and where it would be cut."""

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Absorbed:
    """A network after absorption.

    Attributes:
        network: The same function up to float rounding; where an activation was passed, on data like the samples.
        shifts: By value: what was subtracted from its elements, broadcast to its shape; values left alone are absent.
    """

    network: Network
    shifts: Mapping[str, Reals]


def absorb(model: ir.Model, network: Network, samples: Sequence[Sample], kept: Set[str] = frozenset()) -> Absorbed:
    """Move what the channels of values have in common into the biases of the layers that read them.

    Args:
        model: The canonical float model, with the network's weights (`tinsmith.graph.network.with_constants`).
        network: Its nodes, each with constants of its own (`tinsmith.algorithms.draft.separated`).
        samples: Some calibration samples: they tell the ranges.
        kept: Nodes whose biases stay as they are.
    """
    found = shift_paths(network)
    paths = tuple(path for path in found if not kept & {path.node.name, *(taker.node.name for taker in path.takers)})
    values = list(dict.fromkeys(name for path in paths for name in path.marks))
    if not values or not samples:
        return Absorbed(network, {})
    work = _Work(paths, portraits(model, values, samples))
    for path in paths:
        work.shift(path)
    nodes = tuple(_with_bias(node, work.biases.get(node.name)) for node in network.nodes)
    shifts = {name: array for name, array in work.shifts.items() if array.any()}
    return Absorbed(replace(network, nodes=nodes) if shifts else network, shifts)


@dataclass(frozen=True, slots=True, eq=False)
class _Bias:
    """What is added to a node's bias."""

    weighted: Weighted
    more: Reals


@dataclass(slots=True, eq=False)
class _Work:
    """What has been shifted so far."""

    paths: tuple[ShiftPath, ...]
    seen: Mapping[str, Portrait]
    shifts: dict[str, Reals] = field(default_factory=dict)
    biases: dict[str, _Bias] = field(default_factory=dict)

    def shift(self, path: ShiftPath) -> None:
        """Choose the constants of one node's channels, given those of all before."""
        low, high = self._range(path, self._decided_by(path))
        met = path.free & (high >= low)
        constants = (np.where(met, low, 0.0) + np.where(met, high, 0.0)) / 2
        least, most = self._allowed(path)
        constants = np.where((least <= 0) & (most >= 0), np.clip(constants, least, most), 0.0)
        if not constants.any():
            return
        known = np.concatenate([[0.0], constants])
        for name, marks in path.marks.items():
            self.shifts[name] = self.shifts.get(name, 0.0) + np.sign(marks) * known[np.abs(marks)]
        self._add(path.node, path.weighted, -constants)
        for taker in path.takers:
            self._add(
                taker.node, taker.weighted, _response(taker, np.sign(taker.columns) * known[np.abs(taker.columns)])
            )

    def _decided_by(self, path: ShiftPath) -> list[str]:
        """The values on the path that no later node's constants reach: later ones see to the others."""
        later = self.paths[self.paths.index(path) + 1 :]
        return [name for name in path.marks if not any(name in other.marks for other in later)]

    def _range(self, path: ShiftPath, names: Iterable[str], signs: tuple[int, ...] = (1, -1)) -> tuple[Reals, Reals]:
        """The lowest and the highest element of each channel, as far as shifted, where marks have one of these signs.

        Where the mark is negative the elements' negatives count. Channels without any: (inf, -inf).
        """
        low, high = np.full(len(path.free), np.inf), np.full(len(path.free), -np.inf)
        for name in names:
            already, portrait, marks = self.shifts.get(name, 0.0), self.seen[name], path.marks[name]
            lowest, highest = portrait.lowest - already, portrait.highest - already
            for sign in signs:
                there = marks * sign > 0
                channels = marks[there] * sign - 1
                first, last = (lowest, highest) if sign > 0 else (-highest, -lowest)
                np.minimum.at(low, channels, first[there])
                np.maximum.at(high, channels, last[there])
        return low, high

    def _allowed(self, path: ShiftPath) -> tuple[Reals, Reals]:
        """The least and the largest constant of each channel with which no activation on the path cuts anything."""
        least, most = np.full(len(path.free), -np.inf), np.full(len(path.free), np.inf)
        for node in path.activations:
            ceiling = upper_bound(node)
            assert ceiling is not None
            for sign, floor, top in ((1, 0.0, ceiling), (-1, -ceiling, 0.0)):
                low, high = self._range(path, [node.input(0).name], (sign,))
                reserve = RESERVE * np.maximum(high - low, 0)
                least, most = np.maximum(least, high + reserve - top), np.minimum(most, low - reserve - floor)
        return least, most

    def _add(self, node: FloatNode, weighted: Weighted, more: Reals) -> None:
        old = self.biases.get(node.name)
        self.biases[node.name] = _Bias(weighted, more if old is None else old.more + more)


def _response(taker: Taker, columns: Reals) -> Reals:
    """What constants on the channels of its input add to the channels of a linear node's output."""
    weights = taker.node.const(taker.weighted.weights)
    assert weights is not None
    sums = window(weights.astype(np.float64), taker.weighted).sum(axis=2)
    found: Reals = sums[:, 0] * columns if taker.weighted.columns is None else sums @ columns
    return found


def _with_bias(node: FloatNode, bias: _Bias | None) -> FloatNode:
    if bias is None:
        return node
    place = bias.weighted.weights + 1
    old = node.const(place)
    values = bias.more if old is None else old.reshape(-1).astype(np.float64) + bias.more
    form = values.shape if old is None else (*old.shape[:-1], len(bias.more))
    return with_bias(node, place, values.reshape(form).astype(np.float32))
