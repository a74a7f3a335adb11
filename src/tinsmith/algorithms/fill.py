"""Factors that make tensors fill the range their power-of-two exponent gives them.

A power-of-two step wastes up to one bit. Values that hang together (they share a class of channels, or an exponent)
may still be scaled by one more common factor. For each such *component*, factors between 2**-½ and 2**½ are tried,
and the one of least noise, with steps that are powers of two, is kept; a few rounds over all components.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.ceilings import Ceiling
from tinsmith.algorithms.channels import Classes, Labels
from tinsmith.algorithms.factor_cost import FactorCost, WeightTerm
from tinsmith.algorithms.portrait import Portrait

TRIED = np.arange(-8, 8) / 16
ROUNDS = 3
LEAST_RESERVE, MOST_RESERVE = 1.15, 1.6
"""Tensors are filled as if their elements were larger by this: data not seen may be. The less was seen, the more."""
_GRID = np.linspace(-3, 1.2, 64)
"""Logarithms (base 2) of the ranges whose noise is tabulated, relative to the largest magnitude."""

Reals = NDArray[np.float64]


def fill(
    partition: Classes,
    seen: Mapping[str, Portrait],
    cost: FactorCost,
    position: Reals,
    low: Reals,
    high: Reals,
) -> Reals:
    """One more factor for each component.

    Args:
        partition: The classes.
        seen: What was seen of the values.
        cost: The terms of the noise.
        position: Logarithms of the factors by class.
        low: Their lower bounds.
        high: Their upper bounds.

    Returns:
        The logarithms with the components' factors added.
    """
    component = _components(partition, cost)
    terms: list[tuple[set[int], Callable[[Reals], float]]] = []
    for value in _values(partition, seen, cost, position):
        terms.append(({int(component[value.label])}, value.noise_at(component)))
    for weights in cost.weights:
        met = _Weights.of(weights, position, component)
        terms.append(({met.inner, met.outer}, met.noise))
    for ceiling in cost.ceilings:
        terms.append((set(component[ceiling.classes].tolist()), _clipped(ceiling, position, component)))
    touching: dict[int, list[Callable[[Reals], float]]] = {}
    for components, term in terms:
        for index in components:
            touching.setdefault(index, []).append(term)
    shift = np.zeros(partition.count)
    for _ in range(ROUNDS):
        for index, nearby in touching.items():
            if index != component[0]:
                _settle(shift, index, nearby, _room(component == index, position, low, high))
    found: Reals = position + shift[component] * np.log(2)
    return found


def _clipped(ceiling: Ceiling, position: Reals, component: Labels) -> Callable[[Reals], float]:
    return lambda shift: ceiling.noise(position + np.log(2) * shift[component])


def reserve(count: float) -> float:
    """How much larger data not seen may be, by how many elements of a channel were seen: least from 10,000 on."""
    return LEAST_RESERVE + (MOST_RESERVE - LEAST_RESERVE) * float(np.clip((4 - np.log10(max(count, 1))) / 2, 0, 1))


def _seen_of_each(names: tuple[str, ...], partition: Classes, seen: Mapping[str, Portrait]) -> float:
    """Elements seen of the channel that was seen least."""
    return min(
        len(seen[name].kept) * partition.of[name].size / len(np.unique(partition.of[name]))
        for name in names
        if name in partition.of and name in seen
    )


def _settle(shift: Reals, index: int, terms: list[Callable[[Reals], float]], room: tuple[float, float]) -> None:
    found = []
    for tried in TRIED[(room[0] <= TRIED) & (room[1] >= TRIED)]:
        shift[index] = tried
        found.append((sum(term(shift) for term in terms), abs(tried), tried))
    shift[index] = min(found)[2] if found else 0.0


def _room(of: NDArray[np.bool_], position: Reals, low: Reals, high: Reals) -> tuple[float, float]:
    """How far these classes may still be shifted (base 2)."""
    down = float(np.max(low[of] - position[of])) / np.log(2)
    up = float(np.min(high[of] - position[of])) / np.log(2)
    return down - 1e-9, up + 1e-9


def _components(partition: Classes, cost: FactorCost) -> Labels:
    """By class: the smallest class that shares a value or an exponent with it."""
    parents = np.arange(partition.count)
    first: dict[int, int] = {}
    for name, index in cost.groups.of.items():
        if name in partition.of:
            labels = np.unique(partition.of[name])
            _join(parents, np.append(labels, first.setdefault(index, int(labels[0]))))
    while not np.array_equal(parents[parents], parents):
        parents = parents[parents]
    return parents


def _join(parents: Labels, labels: Labels) -> None:
    while not np.array_equal(parents[parents], parents):
        parents[:] = parents[parents]
    roots = np.unique(parents[labels])
    parents[np.isin(parents, roots)] = roots[0]


@dataclass(frozen=True, slots=True, eq=False)
class _Value:
    """Noise of the values of one group by the range their exponent gives them.

    Attributes:
        label: A class of theirs.
        weight: Cost of unit noise on all their elements.
        grid: Logarithms (base 2) of ranges.
        seen: Mean noise of an element at each of them, on what was seen: rounding, and what is beyond the range.
        expected: The same on data as much larger as `reserve` says.
    """

    label: int
    weight: float
    grid: Reals
    seen: Reals
    expected: Reals

    def noise_at(self, component: Labels) -> Callable[[Reals], float]:
        """The noise to expect as a function of the components' shifts, at the exponent that what was seen favours."""
        index = int(component[self.label])

        def found(shift: Reals) -> float:
            moved = float(shift[index])
            exponents = np.arange(np.floor(self.grid[0] - moved), np.ceil(self.grid[-1] - moved) + 1)
            ranges = exponents + moved + np.log2(127.5 / 128)
            rounding = np.square(2.0**ranges / 127.5) / 12
            inside = ranges <= self.grid[-1]
            favoured = int(np.argmin(np.where(inside, np.interp(ranges, self.grid, self.seen), rounding)))
            expected = float(np.interp(ranges[favoured], self.grid, self.expected))
            return self.weight * (expected if inside[favoured] else float(rounding[favoured]))

        return found


def _values(partition: Classes, seen: Mapping[str, Portrait], cost: FactorCost, position: Reals) -> list[_Value]:
    found = []
    factors = np.exp(position)
    for term in cost.values:
        magnitudes = []
        for name in term.names:
            if name in partition.of and name in seen:
                labels = partition.of[name].ravel()[seen[name].places]
                magnitudes.append(np.abs(seen[name].kept / factors[labels]).ravel())
        elements = np.concatenate(magnitudes)
        elements = elements[elements > 0]
        # The strided elements may miss the largest ones.
        spare = reserve(_seen_of_each(term.names, partition, seen))
        top = spare * float(np.exp((term.ranges - position[term.classes]).max()))
        if not len(elements) or top <= 0:
            continue
        grid = np.log2(top) + _GRID
        large = np.sort(elements)[-max(1, len(elements) // 20) :]
        rounding = np.square(2.0**grid / 127.5) / 12
        clipped, expected = (
            np.square(np.clip(size * large[None, :] - 2.0 ** grid[:, None], 0, None)).sum(axis=1) / len(elements)
            for size in (1.0, spare)
        )
        weight = term.weight * float((term.costs * factors[term.classes] ** 2).sum())
        found.append(_Value(int(term.classes[0]), weight, grid, rounding + clipped, rounding + expected))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """Noise of one node's weights.

    Attributes:
        inner, outer: Components of the channels it reads and writes.
        sizes: Logarithm (base 2) of the largest magnitude at each exponent: one, or one for each output channel.
        costs: Cost of a unit squared step at each of them.
    """

    inner: int
    outer: int
    sizes: Reals
    costs: Reals

    @classmethod
    def of(cls, term: WeightTerm, position: Reals, component: Labels) -> _Weights:
        site = term.site
        inner, outer = position[site.columns], position[site.rows]
        rows, columns = term.rows * np.exp(2 * outer), term.columns * np.exp(-2 * inner)
        if term.depthwise:
            sizes, costs = term.sizes[:, 0] + inner - outer, rows * columns
        else:
            sizes, costs = (term.sizes + inner[None, :]).max(axis=1) - outer, rows * columns.sum()
        if not term.per_channel:
            sizes, costs = sizes.max(keepdims=True), costs.sum(keepdims=True)
        return cls(
            int(component[site.columns[0]]), int(component[site.rows[0]]), sizes / np.log(2), costs * term.weight
        )

    def noise(self, shift: Reals) -> float:
        moved = float(shift[self.inner] - shift[self.outer])
        steps = np.ceil(self.sizes + moved - np.log2(127.5) - 1e-9) - moved
        return float((self.costs * 4.0**steps).sum()) / 12
