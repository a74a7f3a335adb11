"""How far large tensors reach: every element of every sample, where only a grid of them is looked at otherwise.

Extremes are rare, and they decide about exponents; a grid of positions would miss them. They are taken inside the graph
that computes the values, so that these need not be handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.cores import cores
from tinsmith.ops.floatnode import Array, FloatNode, Operand
from tinsmith.report.graphwise import ELEMENTS
from tinsmith.report.layer_error import float_outputs, layers, reference
from tinsmith.report.thinning import grid

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

Reals = NDArray[np.float64]
_LOW, _HIGH = "|lowest", "|highest"


def extremes(
    quantized: Quantized, samples: Sequence[Mapping[str, Array]], axis: Callable[[str], int], most: int = ELEMENTS
) -> dict[str, tuple[Reals, Reals]]:
    """The smallest and the largest number of each channel in the float network.

    Args:
        quantized: The network.
        samples: As the network takes them, `{input: array}`, ONNX order.
        axis: The axis of a value's channels, ONNX order.
        most: Only of values of which `tinsmith.report.graphwise.graphwise` with so many elements looks at a part.

    Returns:
        By value name: of (channels,) each; values with numbers that are not finite are left out.
    """
    network = reference(quantized)
    every = [*network.inputs, *(output for step in layers(quantized) for output in float_outputs(step))]
    wanted = {value.name: value for value in every if value.dtype.kind == "f" and grid(value.shape, most)}
    if not wanted or not samples:
        return {}
    results = [part for value in wanted.values() for part in _reduced(value, axis(value.name))]
    run = FloatNodes([*network.nodes, *results], [node.outputs[0] for node in results])
    with ThreadPoolExecutor(cores()) as pool:
        found = list(pool.map(run, samples))
    named = {
        name: (
            np.min([one[f"{name}{_LOW}"] for one in found], axis=0).astype(np.float64).reshape(-1),
            np.max([one[f"{name}{_HIGH}"] for one in found], axis=0).astype(np.float64).reshape(-1),
        )
        for name in wanted
    }
    return {name: ends for name, ends in named.items() if np.isfinite(ends).all()}


def _reduced(value: Operand, axis: int) -> list[FloatNode]:
    """The nodes that take both extremes of each channel."""
    shape = value.shape[axis : axis + 1] if axis < value.rank else ()
    over = np.array([d for d in range(value.rank) if d != axis], np.int64)
    axes = Operand(f"{value.name}|axes", over.shape, over.dtype, over)
    kinds = {"ReduceMin": _LOW, "ReduceMax": _HIGH}
    return [
        FloatNode(
            kind, f"{value.name}{end}", (value, axes), (Operand(f"{value.name}{end}", shape, value.dtype),), _DROP
        )
        for kind, end in kinds.items()
    ]


_DROP: Mapping[str, int] = {"keepdims": 0}
