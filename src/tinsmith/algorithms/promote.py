"""Which layers run in int16 for the most gain: an order in which units are promoted, and how far to go in it.

What is gained is noise at the outputs (`tinsmith.algorithms.layer_noise`), and most of it only where several units are
promoted together: whoever computes a value, whoever reads it, and what joins values in between. So each step of the
order takes a unit, or what is missing of the units that a term needs, whichever gains most for its cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.layer_noise import LayerNoise, Term
from tinsmith.algorithms.units import Units
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Network, Operand

BYTE = 4.0
"""What a byte more of weights or results costs, in multiply-accumulates: it comes from slower memory."""
BORDER = 8.0
"""What converting an element between widths costs, in multiply-accumulates."""
CALL = 50_000.0
"""What one more operation costs, however small, in multiply-accumulates."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A step of the order: nodes that go to int16 together.

    Attributes:
        nodes: Their names, all that go along included: activations that are fused, what moves their results.
        gain: Noise (squared error over squared signal) that goes away when all steps before are taken.
        macs: Their multiply-accumulates.
        share: The same as a share of the network's, 0 to 1.
    """

    nodes: frozenset[str]
    gain: float
    macs: int
    share: float


def and_those_of_both_widths(
    network: Network, bits: Mapping[str, int], values: Sequence[str], widths: Sequence[int]
) -> tuple[list[str], list[int]]:
    """The values to observe so that formats can be chosen whatever is promoted, and in which widths.

    Args:
        network: The network.
        bits: Width of each node by name (32 for float).
        values: What is observed if nothing is promoted.
        widths: Likewise.
    """
    integer = [node for node in network.nodes if bits[node.name] != 32]
    read = [i.name for node in integer for i in node.inputs if i is not None and i.const is None and _real(i)]
    made = [output.name for node in integer for output in node.outputs if _real(output)]
    return list(dict.fromkeys((*values, *read, *made))), sorted({*widths, 8, 16})


def promotions(
    network: Network, noise: LayerNoise, kept: Set[str] = frozenset(), budget: float = 1.0
) -> tuple[Promotion, ...]:
    """The order in which nodes are promoted, those that gain most for their cost first.

    The cost of a unit in int16 is its multiply-accumulates, `BYTE` for every byte that its weights and results grow by,
    and for every value that is read in another width than it has `CALL` and `BORDER` for each of its elements: a
    stand-in until a model of the chip's time takes its place.

    Args:
        network: The network; every unit of ``noise.units`` that could run in int16 and does not yet is in the order,
            except those that gain nothing.
        noise: Of the network in its present widths.
        kept: Nodes that stay as they are.
        budget: The share of all multiply-accumulates, 0 to 1, that all steps together may have. What does not fit into
            the rest is passed over.
    """
    costs = _costs(network, noise.units)
    total = sum(costs.macs.values())
    search = _Search(noise, costs, {noise.units.of[name] for name in kept}, budget * total + 1e-6)
    found: list[Promotion] = []
    while (best := search.best()) is not None:
        gain = search.take(best)
        macs = costs.macs_of(best)
        found.append(Promotion(noise.units.all_of(best), gain, macs, macs / max(total, 1)))
    return tuple(found)


def until(
    order: Sequence[Promotion], target: float, measure: Callable[[frozenset[str]], float], total: float | None = None
) -> tuple[tuple[Promotion, ...], float] | None:
    """The fewest first steps of an order with which a measurement meets a target; few measurements are made.

    The noise that steps should leave tells where to look first; every other time the range is halved.

    Args:
        order: Of `promotions`, or some of it.
        target: What the measurement may be at most.
        measure: Measures with the nodes given in int16, the smaller the better. It should fall as nodes are added, by
            and large: what is found meets the target, and one step less does not.
        total: The noise without any step, `LayerNoise.total`; None: all that the steps gain.

    Returns:
        The steps and what was measured with them; None where all of them are not enough.
    """
    names = [frozenset[str]().union(*(step.nodes for step in order[:count])) for count in range(len(order) + 1)]
    gained = np.cumsum([0.0, *(step.gain for step in order)])
    left = np.maximum((gained[-1] if total is None else total) - gained, 0.0)
    low, high = 0, len(order) + 1
    known = {0: measure(names[0])}
    if known[0] <= target:
        return (), known[0]
    while high - low > 1:
        count = (low + high) // 2 if len(known) % 2 == 0 else _likely(left, known, low, high, target)
        known[count] = measure(names[count])
        low, high = (low, count) if known[count] <= target else (count, high)
    return None if high > len(order) else (tuple(order[:high]), known[high])


def _likely(left: NDArray[np.float64], known: Mapping[int, float], low: int, high: int, target: float) -> int:
    """Where the target should be met if measurements are linear in the noise that is left, within a range."""
    end, found = (float(left[high]), known[high]) if high in known else (0.0, 0.0)
    part = (target - found) / max(known[low] - found, 1e-30)
    allowed = end + part * (float(left[low]) - end)
    return int(np.clip(np.searchsorted(-left, -allowed), low + 1, high - 1))


@dataclass(frozen=True, slots=True, eq=False)
class _Costs:
    """What units cost in int16 beyond int8, in multiply-accumulates.

    Attributes:
        macs: Multiply-accumulates of every unit.
        own: By unit in int8: its cost.
        borders: By unit: the cost of reading what another unit computes, or of being read by it, if only one of them
            runs in int16.
    """

    macs: Mapping[str, int]
    own: Mapping[str, float]
    borders: Mapping[str, Mapping[str, float]]

    def macs_of(self, chosen: frozenset[str]) -> int:
        """Multiply-accumulates of some units."""
        return sum(self.macs[unit] for unit in chosen)

    def of(self, chosen: frozenset[str], wide: Set[str]) -> float:
        """What some units cost if others run in int16 already; less than nothing where they spare more borders."""
        found = 0.0
        for unit in chosen:
            found += self.own[unit]
            for other, cost in self.borders[unit].items():
                if other not in chosen:
                    found += -cost if other in wide else cost
        return found


def _costs(network: Network, parts: Units) -> _Costs:
    macs = dict.fromkeys(parts.members, 0)
    own = dict.fromkeys(parts.members, 0.0)
    borders: dict[str, dict[str, float]] = {unit: {} for unit in parts.members}
    makers = {output.name: parts.of[node.name] for node in network.nodes for output in node.outputs}
    for node in network.nodes:
        unit = parts.of[node.name]
        macs[unit] += operators()[node.op_type].cost(node).macs
        constants = (i for i in node.inputs if i is not None and i.const is not None and _real(i))
        own[unit] += BYTE * sum(_elements(operand) for operand in (*constants, *node.outputs))
        for operand in {i.name: i for i in node.inputs if i is not None and i.const is None}.values():
            maker = makers.get(operand.name)
            if maker is not None and maker != unit and 32 not in (parts.width[maker], parts.width[unit]):
                for one, other in ((maker, unit), (unit, maker)):
                    borders[one][other] = borders[one].get(other, 0.0) + CALL + BORDER * _elements(operand)
    return _Costs(macs, {unit: own[unit] + macs[unit] for unit in own}, borders)


def _real(operand: Operand) -> bool:
    return operand.dtype.kind == "f"


def _elements(operand: Operand) -> int:
    return int(np.prod(operand.shape))


class _Search:
    """Finds step after step.

    Attributes:
        costs: What units cost.
        wide: Units in int16 so far.
        room: Multiply-accumulates that units to come may have.
    """

    def __init__(self, noise: LayerNoise, costs: _Costs, kept: Set[str], room: float) -> None:
        self.costs = costs
        self.room = room
        self.wide = {unit for unit, width in noise.units.width.items() if width == 16}
        self._open = [term for term in noise.terms if term.needs and not term.needs & kept]
        self._left = [unit for unit in noise.units.members if unit in noise.units.free - kept]

    def best(self) -> frozenset[str] | None:
        """The units to promote next; None where nothing that fits gains anything any more."""
        touched: dict[str, list[Term]] = {}
        for term in self._open:
            for unit in term.needs:
                touched.setdefault(unit, []).append(term)
        choices = [*(frozenset({unit}) for unit in self._left), *(term.needs - self.wide for term in self._open)]
        found, most = None, 0.0
        for choice in (one for one in dict.fromkeys(choices) if self.costs.macs_of(one) <= self.room):
            worth = _worth(self._gain(choice, touched), self.costs.of(choice, self.wide))
            if worth > most:
                found, most = choice, worth
        return found

    def take(self, choice: frozenset[str]) -> float:
        """Promotes some units, and tells what is gained."""
        self.wide |= choice
        self.room -= self.costs.macs_of(choice)
        self._left = [unit for unit in self._left if unit not in choice]
        gained = sum(term.noise for term in self._open if term.needs <= self.wide)
        self._open = [term for term in self._open if not term.needs <= self.wide]
        return gained

    def _gain(self, choice: frozenset[str], touched: Mapping[str, Sequence[Term]]) -> float:
        reached = self.wide | choice
        met = {id(term): term for unit in choice for term in touched.get(unit, ())}
        return sum(term.noise for term in met.values() if term.needs <= reached)


def _worth(gain: float, cost: float) -> float:
    """How much noise is spared for the cost."""
    return gain / cost if cost > 0 else math.inf
