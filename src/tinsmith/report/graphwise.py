"""Graphwise error: how far the chip's values have come from the float network's at the output of every layer.

One pass of the exact simulator, every tensor kept, beside one of the float network on the same samples. What is seen
at a layer is what all layers up to it have made.

The float values are those of the network after equalization and before rounding: the function of the user's model,
with channels scaled as the chip has them. Values of the user's own network would differ by those factors, and those of
the rounded network contain part of the error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tinsmith.report.beside import Beside, Pair, thin_beside
from tinsmith.report.fidelity import Sums
from tinsmith.report.layer_error import LayerError, add, error_of, float_outputs, layers, opened, reference

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

ELEMENTS = 4096
"""Of each value in a sample: those of a few samples tell its noise to a percent of it."""

Progress = Callable[[int, int | None], None]
Look = Callable[[Mapping[str, Pair]], None]


def graphwise(
    quantized: Quantized,
    data: Any,
    samples: int | None = None,
    *,
    elements: int | None = ELEMENTS,
    look: Look | None = None,
    progress: Progress | None = None,
) -> tuple[LayerError, ...]:
    """The noise accumulated at the output of every quantized layer.

    Args:
        quantized: From `tinsmith.quantize`.
        data: Samples, as `tinsmith.quantize` takes them, in the model's own layout; the recipe's preprocessing applies.
        samples: Use at most so many. Memory does not grow with them.
        elements: Elements of each value that are looked at in a sample, roughly: a grid of positions, all channels.
            None for all elements, which takes several times as long in large networks.
        look: Called with what is looked at of each sample, `{name of the value: Pair}`, in order and one at a time, so
            that statistics of any kind can be gathered in the same pass; the network's inputs are among the values.
        progress: Called with samples done and in all (None where unknown).

    Returns:
        The layers in the order in which they are computed; layers that only move data are left out.

    Raises:
        DataError: The data cannot be read, or a sample does not fit the model.
        ProgramError: The program is not the one that its network and formats give.
    """
    every = layers(quantized)
    source = opened(quantized, data, samples)
    seen = [output for step in every for output in float_outputs(step)]
    given = [] if look is None else [operand for operand in reference(quantized).inputs if operand.dtype.kind == "f"]
    values = (*given, *seen)
    beside = Beside(quantized, values) if elements is None else thin_beside(quantized, values, elements)
    names = {step.node.name: [o.name for o in float_outputs(step) if o in beside.values] for step in every}

    def one(pairs: Mapping[str, Pair]) -> tuple[dict[str, Sums], Mapping[str, Pair]]:
        found = {layer: Sums() for layer in names}
        for layer, sums in found.items():
            for name in names[layer]:
                add(sums, pairs[name].chip, pairs[name].real, pairs[name].scale)
        return found, pairs

    whole = {layer: Sums() for layer in names}
    for done, (found, pairs) in enumerate(beside.over(source, one), 1):
        for layer, sums in found.items():
            whole[layer].merge(sums)
        if look is not None:
            look(pairs)
        if progress is not None:
            progress(done, source.length)
    return tuple(error_of(step, quantized, [whole[step.node.name]]) for step in every)
