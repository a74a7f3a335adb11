"""Which layers come first: by what they do to the outputs, by time, by what would make them faster."""

from __future__ import annotations

from collections.abc import Iterable

from tinsmith.report.insight.schema import Layer


def by_error(layers: Iterable[Layer]) -> list[Layer]:
    """The layers with a known cause, those first that do most to the outputs."""
    found = [layer for layer in layers if layer.causes]
    return sorted(found, key=lambda layer: -(0.0 if layer.alone is None else layer.alone.ratio))


def by_time(layers: Iterable[Layer]) -> list[Layer]:
    """The layers with an estimated time, those first that take longest on one core."""
    timed = [layer for layer in layers if layer.single_ms is not None]
    return sorted(timed, key=lambda layer: -(layer.single_ms or 0.0))


def by_remedy(layers: Iterable[Layer]) -> list[tuple[str, float, list[Layer]]]:
    """What to do about slow layers, what it saves in milliseconds, and in which: the largest gain first.

    The layers of each remedy are in the order in which they came.
    """
    groups: dict[str, list[Layer]] = {}
    for layer in layers:
        if layer.slow is not None:
            groups.setdefault(layer.slow.remedy, []).append(layer)
    gains = {remedy: sum(gain_of(layer) for layer in slow) for remedy, slow in groups.items()}
    return [(remedy, gains[remedy], groups[remedy]) for remedy in sorted(groups, key=lambda remedy: -gains[remedy])]


def gain_of(layer: Layer) -> float:
    """Milliseconds that the layer takes longer than it has to; 0 where nothing is known."""
    return 0.0 if layer.slow is None else layer.slow.gain_ms
