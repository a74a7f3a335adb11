"""`layerwise_error_analyse`, and the analyses of single tensors."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinsmith.compat.esp_ppq.console import say, stages
from tinsmith.compat.esp_ppq.quantization.analyse.quantized import quantized_of
from tinsmith.compat.esp_ppq.quantization.analyse.values import named_values
from tinsmith.compat.esp_ppq.samples import batches
from tinsmith.errors import MissingExtraError
from tinsmith.report.beside import Beside, over_samples
from tinsmith.report.error_table import Method, bar_table, error_table, figures, method_named
from tinsmith.report.layer_error import opened
from tinsmith.report.layerwise import layerwise

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph


def layerwise_error_analyse(
    graph: BaseGraph,
    dataloader: Any,
    interested_outputs: str | Sequence[str] | None = None,
    collate_fn: Callable[[Any], Any] | None = None,
    running_device: Any = "cuda",
    method: str = "snr",
    steps: int = 8,
    verbose: bool = True,
) -> dict[str, float]:
    """The error at the network's outputs when one layer alone is quantized, for each layer.

    Args:
        graph: A quantized graph.
        dataloader: Batches of samples.
        interested_outputs: Names of the values to look at; by default the graph's outputs.
        collate_fn: Applied to each batch.
        running_device: Of no effect: the processor simulates.
        method: ``snr`` (noise over signal power), ``cosine`` or ``mse``.
        steps: Batches to take; of these as many samples as are worth their time, 4 to 32.
        verbose: Whether to print the table, the worst layer first.

    Returns:
        The figure of each layer, by the name of its operator; the mean over outputs.

    Raises:
        ProgramError: The graph is not quantized.
        DataError: The data are unusable, or there is no such output.
        RecipeError: The method is unknown.
    """
    quantized = quantized_of(graph)
    method_named(method)
    data = batches(dataloader, steps, collate_fn)
    outputs = [interested_outputs] if isinstance(interested_outputs, str) else interested_outputs
    with stages() as tell:
        found = layerwise(
            quantized, data, outputs=outputs, progress=lambda done, total: tell("layerwise error", done, total)
        )
    values = figures(found, method)
    if verbose:
        say(error_table(values, method).splitlines())
    return values


def variable_analyse(
    graph: BaseGraph,
    dataloader: Any,
    interested_outputs: str | Sequence[str],
    collate_fn: Callable[[Any], Any] | None = None,
    running_device: Any = "cuda",
    samples_per_step: int = 65536,
    steps: int = 8,
    dequantize: bool = False,
) -> None:
    """Show histograms of values.

    Args:
        graph: A quantized graph.
        dataloader: Batches of samples.
        interested_outputs: Names of the values.
        collate_fn: Applied to each batch.
        running_device: Of no effect: the processor simulates.
        samples_per_step: Elements of each value to look at in a sample, roughly.
        steps: Batches to take.
        dequantize: Whether to show the float network's values instead of the chip's.

    Raises:
        ProgramError: The graph is not quantized.
        DataError: The data are unusable, or the chip stores no such value.
        MissingExtraError: matplotlib is not installed.
    """
    quantized = quantized_of(graph)
    names = [interested_outputs] if isinstance(interested_outputs, str) else list(interested_outputs)
    beside = Beside(quantized, named_values(quantized, names), samples_per_step)
    plot = _plot()
    source = opened(quantized, batches(dataloader, steps, collate_fn), None)
    seen: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in names}
    for pairs in over_samples(beside, source):
        for name, parts in seen.items():
            pair = pairs[name]
            parts.append((pair.real if dequantize else pair.chip * pair.scale).ravel())
    for name, parts in seen.items():
        plot.figure(figsize=(12, 8))
        plot.title(f"Histogram of {name}")
        plot.hist(np.concatenate(parts), bins=64)
        plot.show()


def _plot() -> Any:
    try:
        return importlib.import_module("matplotlib.pyplot")
    except ModuleNotFoundError as error:
        hint = "Install it: pip install matplotlib."
        raise MissingExtraError("needs matplotlib, which is not installed.", subject="histograms", hint=hint) from error


def parameter_analyse(graph: BaseGraph) -> None:
    """Print range, standard deviation and mean magnitude of every parameter, the largest first."""
    arrays = {
        f"{variable.name}[{operation.name}]": np.asarray(variable.array, np.float64)
        for operation in graph.operations.values()
        for variable in operation.parameters
        if variable.array is not None and variable.array.size > 1
    }
    for title, values in (
        ("Value Range", {name: float(np.ptp(array)) for name, array in arrays.items()}),
        ("Value Std", {name: float(array.std(ddof=1)) for name, array in arrays.items()}),
        ("Value Mean(Abs)", {name: abs(float(array.mean())) for name, array in arrays.items()}),
    ):
        say(bar_table(values, Method(title, percent=False)).splitlines())
