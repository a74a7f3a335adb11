"""Which layers matter for the accuracy, and whether it is worth asking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinsmith.ops.floatnode import FloatNode, Network
from tinsmith.report.layer_error import LayerError, layers, reference

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

FINE = 0.003
"""Noise at the outputs, over the signal, below which nothing is worth changing: 25 dB."""
SHARE = 0.05
"""Of the noise of all layers, from which a layer matters."""
MUCH = 0.01
"""Noise over signal at the outputs, from which a layer matters in any case."""
MOST = 8
"""Layers that are looked into."""


def fitted(quantized: Quantized) -> bool:
    """Whether weights or biases were fitted to the data, errors of earlier layers included."""
    real = reference(quantized).nodes
    return any(node is not other for node, other in zip(real, quantized.network.nodes, strict=True))


def output_noise(quantized: Quantized, accumulated: Sequence[LayerError]) -> float:
    """Noise over signal at the network's outputs: the mean over those that layers lead to.

    Args:
        quantized: The network.
        accumulated: Of `tinsmith.report.graphwise.graphwise`.
    """
    errors = {error.layer: error.noise for error in accumulated}
    steps = {output.name: step.node.name for step in layers(quantized) for output in step.outputs}
    makers = {output.name: node for node in quantized.network.nodes for output in node.outputs}
    found = [_noise_of(operand.name, errors, steps, makers) for operand in quantized.network.outputs]
    known = [noise for noise in found if noise is not None]
    return float(np.mean(known)) if known else 0.0


def _noise_of(
    value: str, errors: Mapping[str, float], steps: Mapping[str, str], makers: Mapping[str, FloatNode]
) -> float | None:
    """The noise of a value, or of what it is made from where no layer makes it."""
    while value not in steps or steps[value] not in errors:
        node = makers.get(value)
        read = [i.name for i in node.inputs if i is not None and i.const is None] if node is not None else []
        if not read:
            return None
        value = read[0]
    return errors[steps[value]]


def mattering(quantized: Quantized, accumulated: Sequence[LayerError], alone: Sequence[LayerError]) -> dict[str, float]:
    """The layers that matter, the worst first, each with its share of the noise.

    A layer matters if by itself it makes at least `SHARE` of the noise that all layers make at the network's outputs,
    or `MUCH` of their signal; where nobody measured that, of the noise added from one layer's output to the next.
    At most `MOST` do; none where there is as good as no noise at the outputs.

    Args:
        quantized: The network.
        accumulated: Of `tinsmith.report.graphwise.graphwise`.
        alone: Of `tinsmith.report.layerwise.layerwise`; may be empty.
    """
    if output_noise(quantized, accumulated) < FINE:
        return {}
    noise = {error.layer: error.noise for error in alone} or _jumps(reference(quantized), quantized, accumulated)
    finite = {name: one for name, one in noise.items() if np.isfinite(one)}
    total = sum(finite.values())
    worst = sorted(finite, key=lambda name: -finite[name])[:MOST]
    least = min(SHARE * total, MUCH)
    return {name: finite[name] / total for name in worst if total > 0 and finite[name] >= least}


def _jumps(network: Network, quantized: Quantized, accumulated: Sequence[LayerError]) -> dict[str, float]:
    """How much noisier each layer's output is than the noisiest of its inputs."""
    errors = {error.layer: error.noise for error in accumulated}
    at: dict[str, float] = {}
    behind = {step.node.name: step for step in layers(quantized)}
    found: dict[str, float] = {}
    for node in network.nodes:
        arriving = max((at.get(i.name, 0.0) for i in node.inputs if i is not None), default=0.0)
        step = behind.get(node.name)
        leaving = errors.get(node.name, arriving)
        if node.name in errors:
            found[node.name] = max(leaving - arriving, 0.0)
        at.update({output.name: leaving for output in (*node.outputs, *(step.outputs if step is not None else ()))})
    return found
