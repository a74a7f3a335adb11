"""Which differences are worth trying on a layer: those that what was seen of its tensors leaves room for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from tinsmith.algorithms.carry import rounded
from tinsmith.calibrate.candidates import fit_exponent, fit_exponents
from tinsmith.ops.floatnode import Array, Operand
from tinsmith.quant.format import Format
from tinsmith.report.channels import channel_axis, largest_of, spread_bits
from tinsmith.report.tensors import Seen
from tinsmith.report.views import Exponents, Views
from tinsmith.report.whatif import Change, Emulated, Mechanism, Values, Variant
from tinsmith.simulator.headroom import narrowest

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized
    from tinsmith.targets import Target

FEW = 0.001
"""Share of the elements that are outliers at most."""
FEW_WEIGHTS = 0.01
"""The same among weights, which are fewer."""
GAP = 2
"""Bits that outliers take at least: a bell curve has a few elements one bit beyond the others."""

UNLIKE = 1.0
"""Bits between the largest channel and the median one, from which channels are unlike."""

Run = Callable[[Values], dict[str, Array]]


def variants(emulated: Emulated, quantized: Quantized, views: Views) -> Iterator[tuple[Variant, Run]]:
    """The layer as it is, and with each difference that could matter.

    Args:
        emulated: The layer.
        quantized: The network.
        views: Of its tensors.
    """
    layer = emulated.step.node.name
    yield Variant(layer), emulated.as_on_chip
    yield Variant(layer, "inside", "exact"), emulated.not_rounded_inside
    bits = quantized.placement[layer].bits
    if emulated.weights is not None and narrowest(quantized.target, bits) is not None:
        yield Variant(layer, "accumulator", "unsaturated"), emulated.unsaturated()
    yield from _of_weights(emulated, quantized)
    target = quantized.target
    inputs = {o.name: _of_value(o, emulated.arriving(o.name), target, views) for o in emulated.inputs}
    outputs = {o.name: _of_value(o, emulated.leaving(o.name), target, views) for o in emulated.step.outputs}
    for name, changes in inputs.items():
        for mechanism, change in changes.items():
            yield Variant(layer, "input", mechanism, name), emulated.changed({name: change})
    for name, changes in outputs.items():
        for mechanism, change in changes.items():
            yield Variant(layer, "output", mechanism, name), emulated.changed(outputs={name: change})
    read, made = _cut(inputs), _cut(outputs)
    if len(read) + len(made) > 1:
        yield Variant(layer, "all", "clipping", next(iter((*read, *made)))), emulated.changed(read, made)


def _cut(changes: Mapping[str, Mapping[Mechanism, Change]]) -> dict[str, Change]:
    return {name: some["clipping"] for name, some in changes.items() if "clipping" in some}


def _of_weights(emulated: Emulated, quantized: Quantized) -> Iterator[tuple[Variant, Run]]:
    chosen, index = emulated.weights_format, emulated.weights
    if chosen is None or index is None:
        return
    node, target = emulated.real.node, quantized.target
    weights, name = node.const(index), node.input(index).name
    assert weights is not None
    layer = node.name
    yield Variant(layer, "weights", "exact", name), emulated.changed(exact_weights=True)
    axis = channel_axis(node, quantized, index)
    if chosen.axis is None and axis is not None:
        finest = _by_channel(weights, axis, chosen)
        if spread_bits(largest_of(weights, axis)) >= UNLIKE and finest.min() < chosen.exponent:
            change = _to(finest, chosen.bits, target)
            yield Variant(layer, "weights", "channels", name), emulated.changed(weights=change)
    few = _without_few_weights(weights, chosen)
    if few is not None:
        yield Variant(layer, "weights", "few", name), emulated.changed(weights=_within(few, target))


def _of_value(operand: Operand, chosen: Format | None, target: Target, views: Views) -> dict[Mechanism, Change]:
    if chosen is None or chosen.axis is not None or operand.dtype.kind != "f":
        return {}
    found: dict[Mechanism, Change] = {"exact": lambda array: array}
    seen = views.seen(operand.name)
    own, channels = views.own(operand, chosen.bits), views.channels(operand, chosen.bits)
    if seen is None or own is None:
        return found
    own = np.minimum(own, chosen.exponent)
    if own.min() < chosen.exponent:
        found["own"] = _to(own, chosen.bits, target)
    if seen.clipped > 0:
        found["clipping"] = _within(chosen, target)
    if channels is not None and spread_bits(seen.largest) >= UNLIKE and bool(np.any(channels < own)):
        found["channels"] = _to(np.minimum(channels, own), chosen.bits, target)
    few = without_few(seen, chosen)
    if few is not None:
        found["few"] = _within(few, target)
    return found


def without_few(seen: Seen, chosen: Format) -> Format | None:
    """The format that a tensor could have but for few elements; None where it would not be much finer.

    A format that is coarser than the tensor needs is not to be blamed on its elements.
    """
    reach = seen.reach(FEW)
    own, whole = (fit_exponent(low, high, chosen.bits) for low, high in ((-reach, reach), (seen.lowest, seen.highest)))
    return Format(chosen.bits, (own,)) if reach > 0 and own <= min(chosen.exponent, whole) - GAP else None


def _without_few_weights(weights: Array, chosen: Format) -> Format | None:
    rows = weights.reshape(1, -1) if chosen.axis is None else _rows(weights, chosen.axis)
    magnitudes = np.sort(np.abs(rows.astype(np.float64)), axis=1)
    last = magnitudes.shape[1] - 1 - max(1, int(FEW_WEIGHTS * magnitudes.shape[1]))
    if last < 1:
        return None
    reach = magnitudes[:, last]
    own = np.minimum(fit_exponents(-reach, reach, chosen.bits), chosen.exponents)
    if np.median(np.asarray(chosen.exponents) - own) < GAP:
        return None
    return Format(chosen.bits, tuple(int(e) for e in own), chosen.axis)


def _by_channel(weights: Array, axis: int, chosen: Format) -> Exponents:
    """Shaped to go with the weights."""
    largest = largest_of(weights, axis)
    exponents = np.minimum(fit_exponents(-largest, largest, chosen.bits), chosen.exponent)
    return exponents.reshape([-1 if d == axis % weights.ndim else 1 for d in range(weights.ndim)])


def _rows(weights: Array, axis: int) -> Array:
    return np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)


def _to(exponents: Exponents, bits: int, target: Target) -> Change:
    def change(array: Array) -> Array:
        integers = target.rounding.quantize(array, exponents, bits)
        return np.asarray(np.ldexp(integers.astype(np.float32), exponents.astype(np.int32)))

    return change


def _within(chosen: Format, target: Target) -> Change:
    """What the format holds is rounded, larger elements stay as they are."""

    def change(array: Array) -> Array:
        found = rounded(array, chosen, target)
        step = chosen.dequantize(np.ones(array.shape, np.int8))
        return np.where(np.abs(found - array) > step / 2, array, found)

    return change
