"""`statistical_analyse`: how the chip's values and their errors are distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.compat.esp_ppq.console import stages
from tinsmith.compat.esp_ppq.quantization.analyse.quantized import quantized_of
from tinsmith.compat.esp_ppq.quantization.analyse.values import stored
from tinsmith.compat.esp_ppq.samples import batches
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode
from tinsmith.report.beside import Beside, over_samples
from tinsmith.report.layer_error import opened, reference

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph
    from tinsmith.quantized import Quantized

ELEMENTS = 1024
"""Of each value in a sample."""
BINS = 32

Reals = NDArray[np.float64]


def statistical_analyse(
    graph: BaseGraph,
    running_device: Any,
    dataloader: Any,
    collate_fn: Callable[[Any], Any] | None = None,
    steps: int = 8,
) -> list[dict[str, Any]]:
    """Statistics of the inputs and outputs of every quantized layer, parameters included; for a `pandas.DataFrame`.

    Values that the chip never stores, since an activation is computed in the same step, are left out.

    Args:
        graph: A quantized graph.
        running_device: Of no effect: the processor simulates.
        dataloader: Batches of samples.
        collate_fn: Applied to each batch.
        steps: Batches to take.

    Returns:
        One dictionary for each variable of each layer: names, ratio of noise to signal, and of the noise, the chip's
        values and the float network's the mean, standard deviation, skewness, excess kurtosis, histogram of 32 bins,
        largest and smallest.

    Raises:
        ProgramError: The graph is not quantized.
        DataError: The data are unusable.
    """
    quantized = quantized_of(graph)
    beside = Beside(quantized, stored(quantized).values(), ELEMENTS)
    source = opened(quantized, batches(dataloader, steps, collate_fn), None)
    seen: dict[str, list[tuple[Reals, Reals]]] = {value.name: [] for value in beside.values}
    with stages() as tell:
        for done, pairs in enumerate(over_samples(beside, source), 1):
            for name, pair in pairs.items():
                seen[name].append((pair.chip.ravel() * pair.scale, pair.real.ravel().astype(np.float64)))
            tell("statistics", done, source.length)
    joined = {name: tuple(np.concatenate(side) for side in zip(*parts, strict=True)) for name, parts in seen.items()}
    return list(_rows(quantized, joined))


def _rows(quantized: Quantized, seen: dict[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    floats = {node.name: node for node in reference(quantized).nodes}
    for node in quantized.network.nodes:
        if quantized.placement[node.name].bits == 32 or operators()[node.op_type].passive:
            continue
        for index, operand in enumerate(node.inputs):
            if operand is None:
                continue
            found = seen.get(operand.name) or _parameter(quantized, node, floats[node.name], index)
            if found is not None:
                yield _row(node, operand.name, operand.const is not None, True, *found)
        for output in node.outputs:
            if output.name in seen:
                yield _row(node, output.name, False, False, *seen[output.name])


def _parameter(quantized: Quantized, node: FloatNode, real: FloatNode, index: int) -> tuple[Reals, Reals] | None:
    """A constant as the chip has it, and as the float network has it; None where it is not quantized."""
    const, wanted = node.const(index), real.const(index)
    chosen = quantized.formats.at(node.name, index, node.input(index).name)
    if const is None or wanted is None or chosen is None or const.dtype.kind != "f" or const.size <= 1:
        return None
    integers = chosen.quantize(const, quantized.target.rounding)
    return chosen.dequantize(integers).astype(np.float64).ravel(), wanted.astype(np.float64).ravel()


def _row(node: FloatNode, name: str, parameter: bool, read: bool, chip: Reals, real: Reals) -> dict[str, Any]:
    noise = chip - real
    signal = float(real @ real)
    return {
        "Op name": node.name,
        "Op type": node.op_type,
        "Is parameter": parameter,
        "Is input": read,
        "Is output": not read,
        "Variable name": name,
        "Noise:Signal Power Ratio": float(noise @ noise) / signal if signal else float("inf") if noise.any() else 0.0,
        **_moments("Noise", noise),
        **_moments("Quantized", chip),
        **_moments("Float", real),
    }


def _moments(what: str, values: Reals) -> dict[str, Any]:
    mean, deviation = float(values.mean()), float(values.std(ddof=1)) if values.size > 1 else 0.0
    unit = (values - mean) / deviation if deviation else np.zeros_like(values)
    return {
        f"{what} Mean": mean,
        f"{what} Std": deviation,
        f"{what} Skewness": float(np.mean(unit**3)),
        f"{what} Kurtosis": float(np.mean(unit**4)) - 3 if deviation else 0.0,
        f"{what} Hist": [float(count) for count in np.histogram(values, BINS)[0]],
        f"{what} Max": float(values.max()),
        f"{what} Min": float(values.min()),
    }
