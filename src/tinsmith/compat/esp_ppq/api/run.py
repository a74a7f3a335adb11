"""From what a script gives to a quantized graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tinsmith.compat.esp_ppq.api.arguments import Arguments

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph


def quantized_graph(
    model: Any,
    arguments: Arguments,
    loader: Any,
    steps: int | None,
    collate_fn: Callable[[Any], Any] | None,
    input_shape: Any = None,
    inputs: Any = None,
    more: Mapping[str, Any] | None = None,
) -> tuple[BaseGraph, list[str]]:
    """Quantize a float model.

    Args:
        model: A path, or a model in memory.
        arguments: What was asked for.
        loader: Batches of samples.
        steps: How many of them.
        collate_fn: Applied to each.
        input_shape: Of the inputs that the model leaves open.
        inputs: A sample of each input.
        more: Further arguments of `tinsmith.quantize`, which override what the setting stands for.

    Returns:
        The graph, and what to tell the user.

    Raises:
        ModelError: The model cannot be read, or cannot run on the chip.
        DataError: The data do not fit the model.
        RecipeError: An option cannot be had, or names a layer that is not there.
    """
    from tinsmith import importers
    from tinsmith.compat.esp_ppq.console import stages
    from tinsmith.compat.esp_ppq.IR.build import of_quantized
    from tinsmith.compat.esp_ppq.layer_names import LayerNames
    from tinsmith.compat.esp_ppq.mapping import choices_of, dispatch, dispatcher
    from tinsmith.compat.esp_ppq.samples import batches, input_shapes
    from tinsmith.pipeline import quantize

    data = batches(loader, steps, collate_fn)
    source = importers.load(model)
    shapes, notes = input_shapes(source, input_shape, inputs)
    names = LayerNames.of(source)
    if arguments.dispatches:
        names = names.beside(source, shapes)
    mapped = choices_of(arguments.setting, names, arguments.bits)
    dispatch(arguments.platforms, names, mapped, arguments.bits)
    dispatcher(arguments.dispatcher, mapped)
    with stages() as tell:
        quantized = quantize(
            source,
            data,
            arguments.target,
            input_shapes=shapes or None,
            progress=tell,
            **{**mapped.choices, **(more or {})},
        )
    return of_quantized(quantized), [*arguments.notes, *notes, *mapped.notes]
