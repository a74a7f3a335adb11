"""The noise a choice of factors leaves, and its gradient (see `tinsmith.algorithms.equalize`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.bias_correction import takes_bias
from tinsmith.algorithms.ceilings import Ceiling, ceilings
from tinsmith.algorithms.channels import Classes, Labels, LinearSite
from tinsmith.algorithms.groups import Groups, group
from tinsmith.algorithms.portrait import Portrait
from tinsmith.algorithms.sensitivity import Costs, per_channel, window
from tinsmith.ops.floatnode import Network, Operand
from tinsmith.targets import Target

POWER = 16
"""The maximum over channels is smoothed: Σ xᵖ stands for it where shares are concerned."""
TINY = 1e-30
LEFT = 0.01
"""Of a channel's energy about zero, at least so much is about its mean."""
UNIT = 12 * 127.5**2
"""Noise is counted in so many parts here: a range squared stands for the noise of its step."""

Reals = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class ValueTerm:
    """Values that share an exponent.

    Attributes:
        classes: The classes of their elements, each once.
        ranges: Logarithm of the largest magnitude in each class.
        costs: Cost of unit noise on all elements of each class.
        weight: Relative size of a step: 1 for int8, 2**-16 (squared steps) for int16.
        names: The values.
    """

    classes: Labels
    ranges: Reals
    costs: Reals
    weight: float
    names: tuple[str, ...]

    def gradient(self, position: Reals, into: Reals) -> None:
        """Add the derivatives by the logarithms of the factors."""
        logs = self.ranges - position[self.classes]
        top = logs.max()
        share = np.exp(POWER * (logs - top))
        share /= share.sum()
        costs = self.costs * np.exp(2 * position[self.classes])
        total = costs.sum()
        into += np.bincount(
            self.classes,
            weights=2 * self.weight * np.exp(2 * top) * (costs - total * share),
            minlength=len(into),
        )


@dataclass(slots=True, eq=False)
class WeightTerm:
    """Weights of one linear node.

    Attributes:
        site: The node.
        sizes: Logarithm of the largest magnitude over the window, (output channels, input channels).
        rows: Cost of unit noise on each output channel.
        columns: Energy that meets each input channel's weights: mean square times positions in the window; about the
            channel's mean, where what the mean brings is taken out by the bias.
        weight: As of values.
        per_channel: Whether each output channel has an exponent of its own.
    """

    site: LinearSite
    sizes: Reals
    rows: Reals
    columns: Reals
    weight: float
    per_channel: bool
    _around: tuple[Reals, Reals, Reals, Reals] | None = field(default=None)

    @property
    def depthwise(self) -> bool:
        """Whether each channel has weights of its own."""
        return self.site.weighted.columns is None

    def recenter(self, position: Reals) -> None:
        """Powers of the scaled weights at this position, so that `gradient` is two matrix-vector products."""
        inner, outer = position[self.site.columns], position[self.site.rows]
        logs = self.sizes - outer[:, None] + (inner[:, None] if self.depthwise else inner[None, :])
        tops = logs.max(axis=1)
        powers = np.exp(POWER * (logs - tops[:, None])).astype(np.float32)
        self._around = (powers.astype(np.float64) if powers.size < 4096 else powers, tops, inner.copy(), outer.copy())

    def gradient(self, position: Reals, into: Reals) -> None:
        """Add the derivatives by the logarithms of the factors."""
        if self.depthwise:
            self._depthwise(position, into)
        else:
            self._full(position, into)

    def _depthwise(self, position: Reals, into: Reals) -> None:
        if self.per_channel:
            return  # a channel's step follows its factors: nothing to gain
        inner, outer = position[self.site.columns], position[self.site.rows]
        logs = self.sizes[:, 0] + inner - outer
        share = np.exp(POWER * (logs - logs.max()))
        share /= share.sum()
        costs = self.rows * np.exp(2 * outer) * self.columns * np.exp(-2 * inner)
        pull = 2 * self.weight * np.exp(2 * logs.max()) * (costs.sum() * share - costs)
        into += np.bincount(self.site.columns, weights=pull, minlength=len(into))
        into -= np.bincount(self.site.rows, weights=pull, minlength=len(into))

    def _full(self, position: Reals, into: Reals) -> None:
        assert self._around is not None
        powers, tops, inner0, outer0 = self._around
        inner, outer = position[self.site.columns], position[self.site.rows]
        lift = np.exp(POWER * (inner - inner0))
        sums = np.maximum(powers @ lift.astype(powers.dtype), TINY).astype(np.float64)
        largest = tops + np.log(sums) / POWER - (outer - outer0)
        met = self.columns * np.exp(-2 * inner)
        if self.per_channel:
            noise = self.weight * self.rows * np.exp(2 * (outer + largest)) * met.sum()
            share = lift * ((noise / sums) @ powers)
            pull = 2 * (share - noise.sum() * met / met.sum())
            into += np.bincount(self.site.columns, weights=pull, minlength=len(into))
            return
        top = largest.max()
        rows = self.rows * np.exp(2 * outer)
        share = np.exp(POWER * (largest - top))
        share /= share.sum()
        noise_all = 2 * self.weight * np.exp(2 * top) * rows.sum() * met.sum()
        columns = lift * ((share / sums) @ powers)
        into += np.bincount(self.site.columns, weights=noise_all * (columns - met / met.sum()), minlength=len(into))
        into += np.bincount(self.site.rows, weights=noise_all * (rows / rows.sum() - share), minlength=len(into))


@dataclass(frozen=True, slots=True, eq=False)
class FactorCost:
    """The whole network's noise as a function of the factors' logarithms."""

    values: tuple[ValueTerm, ...]
    weights: tuple[WeightTerm, ...]
    ceilings: tuple[Ceiling, ...]
    groups: Groups

    def recenter(self, position: Reals) -> None:
        """Take a new reference for the smooth maximum."""
        for term in self.weights:
            if not term.depthwise:
                term.recenter(position)

    def gradient(self, position: Reals) -> Reals:
        """Derivatives of the noise by the logarithm of each class's factor."""
        found = np.zeros(len(position))
        for value in self.values:
            value.gradient(position, found)
        for weights in self.weights:
            weights.gradient(position, found)
        for ceiling in self.ceilings:
            ceiling.gradient(position, found, UNIT)
        return found


def factor_cost(
    network: Network,
    partition: Classes,
    bits: Mapping[str, int],
    target: Target,
    seen: Mapping[str, Portrait],
    noise: Costs,
) -> FactorCost:
    """Everything the factors can change."""
    groups = group(network, bits, target)
    shared = [(names, groups.bits[index]) for index, names in groups.measured.items()]
    # A value that is also read in another width gets another exponent there.
    shared += [((border.value,), border.bits) for border in groups.borders if border.group is None]
    values = [_value_term(names, width, partition, seen, noise) for names, width in shared]
    weights = [
        _weight_term(site, bits[site.node.name], target, seen, noise)
        for site in partition.linear
        if bits[site.node.name] != 32 and site.node.outputs[0].name in noise and site.node.input(0).name in seen
    ]
    limited = ceilings(network, partition, seen, noise)
    return FactorCost(tuple(term for term in values if term is not None), tuple(weights), limited, groups)


def weight_of(bits: int) -> float:
    """Squared steps of this width relative to int8's."""
    return float(2.0 ** (-2 * (bits - 8)))


def _value_term(
    names: tuple[str, ...],
    bits: int,
    partition: Classes,
    seen: Mapping[str, Portrait],
    noise: Costs,
) -> ValueTerm | None:
    ranges, costs = np.zeros(partition.count), np.zeros(partition.count)
    met = np.zeros(partition.count, dtype=bool)
    for name in names:
        if name not in noise or name not in seen or name not in partition.of:
            continue
        labels = partition.of[name].ravel()
        np.maximum.at(ranges, labels, seen[name].largest.ravel().astype(np.float64))
        cost = np.broadcast_to(noise[name], partition.of[name].shape).ravel()
        costs += np.bincount(labels, weights=cost, minlength=partition.count)
        met[labels] = True
    found = np.flatnonzero(met)
    if not len(found):
        return None
    return ValueTerm(found, np.log(np.maximum(ranges[found], TINY)), costs[found], weight_of(bits), names)


def _weight_term(site: LinearSite, bits: int, target: Target, seen: Mapping[str, Portrait], noise: Costs) -> WeightTerm:
    node, weighted = site.node, site.weighted
    source, output = node.input(0), node.outputs[0]
    weights = node.const(weighted.weights)
    assert weights is not None
    windows = window(np.abs(weights.astype(np.float64)), weighted)
    power = _mean_of_channels(seen[source.name].power, source, weighted.channels)
    if takes_bias(node, weighted, target):
        means = _mean_of_channels(seen[source.name].mean, source, weighted.channels)
        power = np.maximum(power - means**2, LEFT * power)
    return WeightTerm(
        site,
        np.log(np.maximum(windows.max(axis=2), TINY)),
        np.maximum(per_channel(noise[output.name], output, weighted.channels), TINY),
        np.maximum(power * windows.shape[2], TINY),
        weight_of(bits),
        target.per_channel,
    )


def _mean_of_channels(values: NDArray[np.float32], operand: Operand, axis: int) -> Reals:
    sums = per_channel(values.astype(np.float64), operand, axis)
    return sums * len(sums) / float(np.prod(operand.shape))
