"""`graphwise_error_analyse`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinsmith.compat.esp_ppq.console import say, stages
from tinsmith.compat.esp_ppq.quantization.analyse.quantized import quantized_of
from tinsmith.compat.esp_ppq.samples import batches
from tinsmith.report.error_table import error_table, figures, method_named
from tinsmith.report.graphwise import graphwise

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph


def graphwise_error_analyse(
    graph: BaseGraph,
    running_device: Any,
    dataloader: Any,
    collate_fn: Callable[[Any], Any] | None = None,
    method: str = "snr",
    steps: int = 8,
    verbose: bool = True,
    fetchs: int = 4096,
) -> dict[str, float]:
    """The error accumulated at the output of each layer, against the float network on the same samples.

    A layer is an operator with the activation that belongs to it, as the chip computes them.

    Args:
        graph: A quantized graph.
        running_device: Of no effect: the processor simulates.
        dataloader: Batches of samples.
        collate_fn: Applied to each batch.
        method: ``snr`` (noise over signal power), ``cosine`` or ``mse``.
        steps: Batches to take.
        verbose: Whether to print the table, the worst layer first.
        fetchs: Elements of each value to look at in a sample, roughly.

    Returns:
        The figure of each layer, by the name of its operator.

    Raises:
        ProgramError: The graph is not quantized.
        DataError: The data are unusable.
        RecipeError: The method is unknown.
    """
    quantized = quantized_of(graph)
    method_named(method)
    data = batches(dataloader, steps, collate_fn)
    with stages() as tell:
        found = graphwise(
            quantized, data, elements=fetchs, progress=lambda done, total: tell("graphwise error", done, total)
        )
    values = figures(found, method)
    if verbose:
        say(error_table(values, method).splitlines())
    return values
