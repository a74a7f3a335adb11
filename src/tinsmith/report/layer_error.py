"""What error analysis says of a layer, and which layers there are.

A *layer* is an operator, its requantization, and the Relu or Clip that belongs to it: the chip computes that inside
the operator or, where a ceiling lies below what the format holds, right behind it; both always have the same precision.
Layers that only move data round nothing and are left out, and so are those that run in floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log10
from typing import TYPE_CHECKING, Any

import numpy as np

from tinsmith.calibrate.inputs import input_specs
from tinsmith.calibrate.sources import DataSource, open_data
from tinsmith.graph.network import network as network_of
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, Network, Operand
from tinsmith.ops.steps import Step, activations_after_linear
from tinsmith.report.fidelity import Sums

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

_PIECE = 16384
"""Elements that are summed at a time: so many stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class LayerError:
    """The error of one layer, over all elements of all samples.

    Of several outputs, graphwise takes all elements together; layerwise takes the mean over the network's outputs.

    Attributes:
        layer: Name of the operator's node.
        operator: ONNX operator.
        precision: ``int8`` or ``int16``.
        noise: Noise power over signal power, Σ (chip - float)² / Σ float²; 0.01 is 1 %.
        cosine: Cosine of the angle between the chip's values and the float network's.
        mse: Mean squared difference.
        activation: Name of the activation that is part of it; empty where there is none.
        sources: Names of the nodes of the user's graph that it does the work of.
    """

    layer: str
    operator: str
    precision: str
    noise: float
    cosine: float
    mse: float
    activation: str = ""
    sources: tuple[str, ...] = ()

    @property
    def snr_db(self) -> float:
        """Signal to noise ratio in dB; infinite where there is no noise."""
        if self.noise == 0:
            return inf
        return -10 * log10(self.noise) if self.noise < inf else -inf


def layers(quantized: Quantized) -> tuple[Step, ...]:
    """The layers of a quantized network, in the order in which they are computed; they have a float output each."""
    follows = activations_after_linear(quantized.network)
    inside = {activation.name for activation in follows.values()}
    every = (Step(node, follows.get(node.name)) for node in quantized.network.nodes if node.name not in inside)
    return tuple(
        step
        for step in every
        if quantized.placement[step.node.name].bits != 32
        and not operators()[step.node.op_type].passive
        and float_outputs(step)
    )


def float_outputs(step: Step) -> list[Operand]:
    """What a layer computes that can be compared."""
    return [output for output in step.outputs if output.dtype.kind == "f" and output.name]


def reference(quantized: Quantized) -> Network:
    """The float network whose values the chip's are compared with.

    It is the network after equalization and before rounding: the model's own function, its values scaled as the chip
    has them.
    """
    return network_of(quantized.model) if quantized.unrounded is None else quantized.unrounded


def opened(quantized: Quantized, data: Any, samples: int | None) -> DataSource:
    """Data as `tinsmith.quantize` takes them, prepared as the recipe says.

    Raises:
        DataError: They cannot be read or do not fit the model.
    """
    pictures = quantized.recipe.preprocessing
    return open_data(
        data,
        input_specs(quantized.model),
        mean=pictures.mean or None,
        std=pictures.std or None,
        size=pictures.size,
        color=pictures.color,
        layout=pictures.layout,
        limit=samples,
    )


def error_of(step: Step, quantized: Quantized, found: Sequence[Sums]) -> LayerError:
    """The figures of one layer: the mean over sums of their own."""
    results = [sums.result() for sums in found]
    return LayerError(
        step.node.name,
        step.node.op_type,
        quantized.placement[step.node.name].precision,
        float(np.mean([sums.ratio for sums in found])),
        float(np.mean([result.cosine for result in results])),
        float(np.mean([result.mse for result in results])),
        "" if step.fused is None else step.fused.name,
        step.sources,
    )


def add(sums: Sums, chip: Array, real: Array, scale: float = 1.0) -> None:
    """Take in one sample; the largest difference, which nobody asks for here, is left out.

    Args:
        sums: Where to add.
        chip: Integers, or real numbers.
        real: The float network's values, of the same shape.
        scale: What one step of the integers is worth.
    """
    ours, theirs = np.ascontiguousarray(chip).ravel(), np.ascontiguousarray(real).ravel()
    for start in range(0, ours.size, _PIECE):
        piece = slice(start, start + _PIECE)
        found, wanted = ours[piece] * np.float64(scale), theirs[piece].astype(np.float64)
        sums.count += found.size
        sums.signal += float(wanted @ wanted)
        sums.chip += float(found @ found)
        sums.product += float(found @ wanted)
        found -= wanted
        sums.noise += float(found @ found)
