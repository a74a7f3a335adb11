"""What it costs to scale a channel that a Clip limits (ReLU6).

The ceiling stays where it is while the channel is divided by a factor: values between the old ceiling and factor times
ceiling come out differently. On calibration data there may be none; on others there will be. How many is estimated
from each channel's largest element in every sample: largest of many, they follow a Gumbel distribution, beyond which
values fall off exponentially (E. J. Gumbel, "Statistics of Extremes", 1958, the method of moments). With b its scale
and c its location, about exp((c - a) / b) elements of a sample exceed a, and those that do exceed it by b on average.
With d between the two ceilings, the squared error of such an element is 2b²·(1 - exp(-d/b)·(1 + d/b)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.channels import Classes, Labels
from tinsmith.algorithms.portrait import Portrait
from tinsmith.algorithms.sensitivity import Costs, per_channel
from tinsmith.ops.floatnode import FloatNode, Network
from tinsmith.ops.steps import upper_bound

CAUTION = 2.0
"""Tails are taken for so much longer than what was seen suggests: images of other classes have others."""
FLAT = 0.02
"""The least scale of a tail, relative to the ceiling."""

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Ceiling:
    """The channels below one Clip.

    Attributes:
        classes: Class of each channel.
        places: Location of each channel's distribution of largest elements.
        scales: Its scale.
        count: Elements of a channel in one sample.
        costs: Cost of unit noise on one element of each channel, after the Clip.
        limit: The Clip's upper limit.
    """

    classes: Labels
    places: Reals
    scales: Reals
    count: float
    costs: Reals
    limit: float

    def noise(self, position: Reals) -> float:
        """Noise to expect at these logarithms of the factors."""
        _, gap, beyond = self._at(position)
        return float((self.costs * beyond * 2 * self.scales**2 * (1 - np.exp(-gap) * (1 + gap))).sum())

    def gradient(self, position: Reals, into: Reals, unit: float) -> None:
        """Add the noise's derivatives by the logarithms of the factors, times ``unit``."""
        factors, gap, beyond = self._at(position)
        lowered = -2 * self.scales * (1 - np.exp(-gap))
        raised = 2 * self.scales * gap * np.exp(-gap)
        slopes = np.where(factors < 1, lowered, raised) * self.limit * factors
        into += unit * np.bincount(self.classes, weights=self.costs * beyond * slopes, minlength=len(into))

    def _at(self, position: Reals) -> tuple[Reals, Reals, Reals]:
        """The factors, the distance of the ceilings in scales, and how many elements are beyond the lower one."""
        factors = np.exp(np.clip(position[self.classes], -20, 20))
        gap = self.limit * np.abs(1 - factors) / self.scales
        lower = self.limit * np.minimum(factors, 1)
        beyond = np.exp(np.minimum((self.places - lower) / self.scales, np.log(self.count)))
        return factors, gap, beyond


def ceilings(network: Network, partition: Classes, seen: Mapping[str, Portrait], noise: Costs) -> tuple[Ceiling, ...]:
    """The Clips of a network whose channels may be scaled."""
    found = []
    for node in network.nodes:
        limit = upper_bound(node)
        known = node.input(0).name in seen and node.outputs[0].name in noise
        if limit is not None and np.isfinite(limit) and known and node.input(0).rank >= 2:
            found.append(_ceiling(node, limit, partition, seen[node.input(0).name], noise))
    return tuple(found)


def _ceiling(node: FloatNode, limit: float, partition: Classes, seen: Portrait, noise: Costs) -> Ceiling:
    source, output = node.input(0), node.outputs[0]
    labels = np.moveaxis(partition.of[source.name], 1, 0).reshape(source.shape[1], -1)[:, 0]
    peaks = seen.peaks.astype(np.float64)
    spread = peaks.std(axis=0) * np.sqrt(6) / np.pi
    scales = np.maximum(spread * CAUTION * (1 + 2 / np.sqrt(len(peaks))), FLAT * limit)
    count = float(np.prod(source.shape)) / len(labels)
    costs = per_channel(noise[output.name], output, 1) / count
    return Ceiling(labels, peaks.mean(axis=0) - np.euler_gamma * scales, scales, count, costs, limit)
