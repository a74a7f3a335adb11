"""Some samples that stand for all: data are often sorted, by class or by time, and the first are of one kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from tinsmith.calibrate.guidance import SampleNote
from tinsmith.calibrate.per_sample import RECORDED
from tinsmith.calibrate.sources import DataSource
from tinsmith.ops.floatnode import Array

Item = TypeVar("Item")


def evenly(items: Sequence[Item], count: int) -> list[Item]:
    """At most ``count`` of the items, in order, with even distances; the first is among them."""
    if len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


class Spread:
    """Passes samples on, keeps some that are spread evenly over all of them, and notes what the first are.

    Where the number of samples is not known beforehand, those kept are every second, fourth, eighth and so on.

    Args:
        source: The samples.
        count: How many to keep, at most.
    """

    def __init__(self, source: DataSource, count: int) -> None:
        self.chosen: dict[int, dict[str, Array]] = {}
        self.noted: list[SampleNote] = []
        self._source = source
        self._count = count
        self._every = 1
        known = source.length
        self._wanted = None if known is None or known <= count else frozenset(evenly(range(known), count))

    @property
    def samples(self) -> list[dict[str, Array]]:
        """Those kept, in order."""
        return list(self.chosen.values())

    def __length_hint__(self) -> int:
        known = self._source.length
        return NotImplemented if known is None else known

    def __iter__(self) -> Iterator[dict[str, Array]]:
        for index, (name, sample) in enumerate(self._source.labelled()):
            if len(self.noted) < RECORDED:
                self.noted.append(SampleNote.of(name, sample))
            if index % self._every == 0 if self._wanted is None else index in self._wanted:
                self._keep(index, sample)
            yield sample

    def _keep(self, index: int, sample: dict[str, Array]) -> None:
        self.chosen[index] = {name: array.copy() for name, array in sample.items()}
        while len(self.chosen) > self._count:
            self._every *= 2
            self.chosen = {at: kept for at, kept in self.chosen.items() if at % self._every == 0}
