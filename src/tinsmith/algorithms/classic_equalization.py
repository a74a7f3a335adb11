"""Cross-layer equalization as the tutorials know it: weights on both sides of a channel get the same range.

Before a channel is divided by a factor f, the layers that compute it have weights up to ``u``, those that read it
weights up to ``d``; afterwards both have √(u·d), with f = √(u/d) (Nagel et al., Data-Free Quantization Through Weight
Equalization and Bias Correction, 2019). Layer by layer, several times. The options have the names and the meaning
that users know; what factors may pass is found by `tinsmith.algorithms.channels`, so that the float network stays the
same function behind whatever lies between, and the ceiling of a ReLU6 is respected (`tinsmith.algorithms.equalize`).

It looks at weights alone. `tinsmith.algorithms.equalize` looks at the noise that they and the activations make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinsmith.algorithms.channels import Classes, LinearSite, classes
from tinsmith.algorithms.equalize import Equalized, Factors, limits, scaled
from tinsmith.algorithms.layer_names import named_layers
from tinsmith.algorithms.portrait import Portrait, portraits
from tinsmith.algorithms.sensitivity import window
from tinsmith.calibrate.session import Sample
from tinsmith.errors import RecipeError
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Network
from tinsmith.ops.passage import Passage
from tinsmith.ops.steps import upper_bound

LARGEST_STEP = 10.0
"""No factor grows or shrinks by more in one iteration."""


@dataclass(frozen=True, slots=True)
class ClassicOptions:
    """The options of the tutorials.

    Attributes:
        iterations: How often all pairs of layers are gone through.
        value_threshold: A channel whose two ranges add up to less keeps its factor in this iteration.
        opt_level: 1: channels that no Add or Sub takes part in; 2: those as well, all branches together.
        including_bias: Whether the bias of the layers before counts as one of their weights.
        bias_multiplier: What it is multiplied by to be compared with them.
        including_activation: Whether the largest result (before any activation, on the samples) counts likewise.
        activation_multiplier: What it is multiplied by.
        interested_layers: Names or regular expressions; only channels that one of these layers computes are
            equalized. Empty: all.

    Raises:
        RecipeError: A number is out of its range.
    """

    iterations: int = 10
    value_threshold: float = 0.5
    opt_level: int = 1
    including_bias: bool = False
    bias_multiplier: float = 0.5
    including_activation: bool = False
    activation_multiplier: float = 0.5
    interested_layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.opt_level not in (1, 2):
            raise RecipeError(f"{self.opt_level} is neither 1 nor 2.", subject="opt_level")
        if self.iterations < 0:
            raise RecipeError(f"{self.iterations} is negative.", subject="iterations")
        for name in ("value_threshold", "bias_multiplier", "activation_multiplier"):
            if not 0 <= getattr(self, name) < np.inf:
                raise RecipeError(f"{getattr(self, name)} is not a number of at least 0.", subject=name)


def classic_equalize(
    model: ir.Model,
    network: Network,
    samples: Sequence[Sample],
    options: ClassicOptions | None = None,
    kept: Set[str] = frozenset(),
) -> Equalized:
    """Give the weights before and behind every channel the same range.

    Args:
        model: The canonical float model.
        network: Its nodes, each with constants of its own (`tinsmith.algorithms.draft.separated`).
        samples: Some calibration samples. They tell how far ceilings of activations are from being reached; without
            any, channels below a ceiling keep the factor one.
        options: Defaults where None.
        kept: Nodes whose weights stay as they are.

    Raises:
        RecipeError: A name or pattern among the interested layers matches nothing.
    """
    chosen = ClassicOptions() if options is None else options
    partition = classes(network, kept)
    interested = named_layers((site.node for site in partition.linear), chosen.interested_layers, "interested_layers")
    seen = _seen(model, network, partition, samples, chosen)
    low, high = _bounds(network, partition, seen, chosen.opt_level)
    work = _Work(partition, chosen, seen)
    logarithms = np.zeros(partition.count)
    turns = _turns(partition, interested)
    for _ in range(chosen.iterations):
        for turn in turns:
            old = logarithms[turn.labels]
            new = np.clip(old + work.wanted(turn), low[turn.labels], high[turn.labels])
            work.take(turn, new - old)
            logarithms[turn.labels] = new
    factors = np.exp(logarithms)
    changed = {name: factors[labels] for name, labels in partition.of.items() if np.any(factors[labels] != 1)}
    return Equalized(scaled(network, partition, factors) if changed else network, changed)


def _seen(
    model: ir.Model, network: Network, partition: Classes, samples: Sequence[Sample], options: ClassicOptions
) -> Mapping[str, Portrait]:
    """What has to be known of the values: those that a ceiling may cut, and results where they count."""
    values = [node.input(0).name for node in network.nodes if _ceiling(upper_bound(node))]
    if options.including_activation:
        values += [site.node.outputs[0].name for site in partition.linear]
    return portraits(model, list(dict.fromkeys(values)), samples) if values and samples else {}


def _ceiling(bound: float | None) -> bool:
    return bound is not None and np.isfinite(bound)


def _bounds(network: Network, partition: Classes, seen: Mapping[str, Portrait], level: int) -> tuple[Factors, Factors]:
    """Bounds of the factors' logarithms by class; a factor of one is always within them."""
    low, high = limits(network, partition, seen)
    for node in network.nodes:
        summed = operators()[node.op_type].passage(node) is Passage.SUMS
        unknown = _ceiling(upper_bound(node)) and node.input(0).name not in seen
        if (summed and level < 2) or unknown:
            stays = np.unique(partition.of[node.outputs[0].name])
            low[stays] = high[stays] = 0.0
    return np.minimum(low, 0.0), np.maximum(high, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    """Channels that are equalized together.

    Attributes:
        labels: Their classes.
        before: The layers that compute them, as indices.
        behind: The layers that read them.
    """

    labels: NDArray[np.int64]
    before: tuple[int, ...]
    behind: tuple[int, ...]


def _turns(partition: Classes, interested: Mapping[str, str]) -> list[_Turn]:
    """The channels in the order of the first layer that computes them; of the interested layers where there are any."""
    rows = [set(site.rows.tolist()) for site in partition.linear]
    columns = [set(site.columns.tolist()) for site in partition.linear]
    named = [not interested or site.node.name in interested for site in partition.linear]
    left = set().union(*(labels for labels, here in zip(rows, named, strict=True) if here)) - {0}
    turns = []
    for labels in rows:
        here = left & labels
        left -= here
        before, behind = ([i for i, met in enumerate(side) if here & met] for side in (rows, columns))
        if before and behind:
            turns.append(_Turn(np.asarray(sorted(here), dtype=np.int64), tuple(before), tuple(behind)))
    return turns


class _Work:
    """Ranges of all weights as they are now."""

    def __init__(self, partition: Classes, options: ClassicOptions, seen: Mapping[str, Portrait]) -> None:
        self.count = partition.count
        self.threshold = options.value_threshold
        self.sites = partition.linear
        self.sizes = [_sizes(site) for site in self.sites]
        self.others = [_others(site, options, seen) for site in self.sites]

    def wanted(self, turn: _Turn) -> Factors:
        """The logarithms of the factors that make the ranges of the turn's classes equal."""
        before, behind = np.zeros(self.count), np.zeros(self.count)
        for index in turn.before:
            ranges = np.maximum(self.sizes[index].max(axis=1), self.others[index])
            np.maximum.at(before, self.sites[index].rows, ranges)
        for index in turn.behind:
            depthwise = self.sites[index].weighted.columns is None
            ranges = self.sizes[index][:, 0] if depthwise else self.sizes[index].max(axis=0)
            np.maximum.at(behind, self.sites[index].columns, ranges)
        up, down = before[turn.labels], behind[turn.labels]
        # Nothing can be made equal to a range of zero.
        moves = (up + down >= self.threshold) & (up > 0) & (down > 0)
        ratios = np.divide(up, down, where=moves, out=np.ones(len(up)))
        found: Factors = np.log(np.clip(np.sqrt(ratios), 1 / LARGEST_STEP, LARGEST_STEP))
        return found

    def take(self, turn: _Turn, logarithms: Factors) -> None:
        """Scale the ranges: logarithms of the turn's classes."""
        factors = np.ones(self.count)
        factors[turn.labels] = np.exp(logarithms)
        for index in turn.before:
            rows = factors[self.sites[index].rows]
            self.sizes[index] /= rows[:, None]
            self.others[index] /= rows
        for index in turn.behind:
            columns = factors[self.sites[index].columns]
            depthwise = self.sites[index].weighted.columns is None
            self.sizes[index] *= columns[:, None] if depthwise else columns[None, :]


def _sizes(site: LinearSite) -> Factors:
    """The largest weight between each input channel and each output channel, (rows, columns)."""
    weights = site.node.const(site.weighted.weights)
    assert weights is not None
    largest: Factors = window(np.abs(weights.astype(np.float64)), site.weighted).max(axis=2)
    return largest


def _others(site: LinearSite, options: ClassicOptions, seen: Mapping[str, Portrait]) -> Factors:
    """What counts as a weight of each output channel besides the weights."""
    found = np.zeros(len(site.rows))
    bias, output = site.node.const(site.weighted.weights + 1), site.node.outputs[0]
    if options.including_bias and bias is not None:
        found = np.maximum(found, np.abs(bias.reshape(-1).astype(np.float64)) * options.bias_multiplier)
    if options.including_activation and output.name in seen:
        axis = site.weighted.channels % output.rank
        largest = seen[output.name].largest.max(axis=tuple(d for d in range(output.rank) if d != axis))
        found = np.maximum(found, largest.astype(np.float64) * options.activation_multiplier)
    return found
