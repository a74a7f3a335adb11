"""The layers as the table shows them: numbered, linked with each other, with bars to scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from tinsmith.report.insight.schema import Insight, Layer


@dataclass(frozen=True, slots=True)
class Link:
    """A value and the layer on its other end.

    Attributes:
        value: Its name.
        step: Index of the layer; None where the user gives or takes it.
        name: Of the layer.
    """

    value: str
    step: int | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A layer in the table.

    Attributes:
        step: Its index.
        layer: What is known of it.
        reads: Where its inputs come from.
        read_by: Where its outputs go.
        branches: Those of `reads` that another layer than the one before it computes.
        share: Of the time of all layers, on one core; None without times.
        bar: Length of the bar of its error alone, in percent; None without data.
        live: Bytes of RAM in use while it runs; None where that is not known.
    """

    step: int
    layer: Layer
    reads: tuple[Link, ...]
    read_by: tuple[Link, ...]
    branches: tuple[Link, ...]
    share: float | None
    bar: float | None
    live: int | None


def rows(insight: Insight) -> tuple[Row, ...]:
    """A row for each layer, in the order of execution."""
    layers = insight.layers
    makers = {value: step for step, layer in enumerate(layers) for value in layer.outputs}
    readers: dict[str, list[int]] = {}
    for step, layer in enumerate(layers):
        for value in layer.inputs:
            readers.setdefault(value, []).append(step)
    total = sum(layer.single_ms or 0.0 for layer in layers)
    worst = max((_alone(layer) or 0.0 for layer in layers), default=0.0)
    live = dict(enumerate(insight.memory.live))
    found = []
    for step, layer in enumerate(layers):
        reads = tuple(_maker(value, makers, layers) for value in layer.inputs)
        branches = tuple(link for link in reads if link.step not in (None, step - 1))
        share = layer.single_ms / total if layer.single_ms is not None and total > 0 else None
        read_by = tuple(_readers(layer.outputs, readers, layers))
        found.append(Row(step, layer, reads, read_by, branches, share, _bar(_alone(layer), worst), live.get(step)))
    return tuple(found)


def _alone(layer: Layer) -> float | None:
    """Its error alone, where that is a number."""
    return layer.alone.ratio if layer.alone is not None and isfinite(layer.alone.ratio) else None


def _bar(value: float | None, worst: float) -> float | None:
    return None if value is None or worst <= 0 else 100 * value / worst


def _maker(value: str, makers: dict[str, int], layers: Sequence[Layer]) -> Link:
    step = makers.get(value)
    return Link(value, step, layers[step].name if step is not None else "")


def _readers(outputs: Iterable[str], readers: dict[str, list[int]], layers: Sequence[Layer]) -> Iterable[Link]:
    for value in outputs:
        found = readers.get(value, [])
        yield from (Link(value, step, layers[step].name) for step in found)
        if not found:
            yield Link(value, None)


def rows_of(layers: Iterable[Layer], table: Iterable[Row]) -> list[Row]:
    """The rows of some layers of a table, in the layers' order. Names of layers may be there twice."""
    known = {id(row.layer): row for row in table}
    return [known[id(layer)] for layer in layers]
