"""Choosing all formats of a network: least error where there is a choice, the chip's hard rules by construction.

1. Every group of values that share an exponent (`tinsmith.algorithms.groups`) takes the one its observations favour.
2. Every linear node's weights take the exponents of least error.
3. The rules of file format §4 are inequalities of the form *output ≥ sum of inputs*. They are met by raising exponents,
   never by lowering: weights until the bias fits, outputs until no shift is negative, weights again until no shift
   exceeds the chip's. Raising only propagates forward, so this reaches a fixed point.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.groups import Border, Groups, group
from tinsmith.algorithms.weights import Weights, least_error, weights_of
from tinsmith.calibrate.constants import constant_stats
from tinsmith.calibrate.exponents import GIVEN, PERCENTILE, Way, choose_exponent, method_named
from tinsmith.calibrate.stats import ValueStats
from tinsmith.errors import QuantizationError
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network
from tinsmith.ops.ports import Kind, Ports
from tinsmith.quant.format import FARTHEST_EXPONENT, Format, Formats
from tinsmith.quant.rounding import qrange
from tinsmith.targets import Target

HEADROOM = {8: 0, 16: 1}
"""Bits kept free above the exponent of least error, by width: at 16 bits one costs 6 of some 90 dB, and spares values
beyond those that calibration happened to see from saturating, which costs far more."""

NO_WAYS: Mapping[str, Way] = MappingProxyType({})
NO_STEPS: Mapping[str, int] = MappingProxyType({})

_ROUNDS = 64


def observed_values(network: Network, bits: Mapping[str, int], target: Target) -> tuple[list[str], list[int]]:
    """The values calibration must observe, and for which widths.

    Values that decide a group's exponent, and those read in another width than their own.
    """
    groups = group(network, bits, target)
    names = [name for values in groups.measured.values() for name in values]
    names += [border.value for border in groups.borders if border.group is None]
    widths = {*groups.bits.values(), *(border.bits for border in groups.borders)}
    return list(dict.fromkeys(names)), sorted(widths)


def unmeasured(network: Network, bits: Mapping[str, int], target: Target, known: Set[str]) -> list[str]:
    """The values that must be observed beside those already known: of groups none of whose values is."""
    groups = group(network, bits, target)
    names = [name for values in groups.measured.values() if not known & set(values) for name in values]
    names += [border.value for border in groups.borders if border.group is None and border.value not in known]
    return list(dict.fromkeys(names))


def choose_formats(
    network: Network,
    bits: Mapping[str, int],
    stats: Mapping[str, ValueStats],
    target: Target,
    method: str = "mse",
    percentile: float = PERCENTILE,
    ways: Mapping[str, Way] = NO_WAYS,
    steps: Mapping[str, int] = NO_STEPS,
) -> Formats:
    """Formats for every quantized value, weight and constant of the network.

    Args:
        network: The canonical float network.
        bits: Width of each node by name (32 for float).
        stats: What was observed of the values `observed_values` names.
        target: The chip.
        method: How observations become an exponent: `mse`, `minmax`, `percentile`, `kl`.
        percentile: For `percentile`.
        ways: Method and percentile by value name, where they differ. Values that share an exponent take the way of the
            one that comes last here.
        steps: By value name: how much coarser its exponent starts than observations favour, with all that share it.

    Raises:
        QuantizationError: No exponents satisfy the chip's rules; names the node.
    """
    chooser = _Choice(network, bits, stats, target, (method, percentile), ways, steps)
    chooser.settle()
    for error in chooser.beyond.values():
        raise error
    return chooser.formats()


def beyond_int8(
    network: Network,
    bits: Mapping[str, int],
    stats: Mapping[str, ValueStats],
    target: Target,
    method: str = "mse",
    percentile: float = PERCENTILE,
    ways: Mapping[str, Way] = NO_WAYS,
) -> tuple[str, ...]:
    """Names of int8 nodes whose inputs are larger than their kernels take, and that int16 would compute.

    Args, raised errors: as for `choose_formats`, which refuses such nodes.
    """
    chooser = _Choice(network, bits, stats, target, (method, percentile), ways)
    chooser.settle()
    return tuple(name for name in chooser.beyond if chooser.ports[name].largest_wide_exponent is None)


@dataclass(slots=True)
class _Linear:
    """A node whose output exponent is bounded below by the sum of two inputs'."""

    node: FloatNode
    ports: Ports
    weights: Weights | None
    current: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, dtype=np.int64))


class _Choice:
    def __init__(
        self,
        network: Network,
        bits: Mapping[str, int],
        stats: Mapping[str, ValueStats],
        target: Target,
        way: Way,
        ways: Mapping[str, Way],
        steps: Mapping[str, int] = NO_STEPS,
    ) -> None:
        self.network = network
        self.bits = bits
        self.stats = stats
        self.target = target
        self.groups: Groups = group(network, bits, target)
        self.ways = dict.fromkeys(self.groups.bits, way)
        self.ways.update({self.groups.of[name]: own for name, own in ways.items() if name in self.groups.of})
        self.steps = {self.groups.of[name]: step for name, step in steps.items() if name in self.groups.of}
        self.ports = {node.name: operators()[node.op_type].ports(node, target) for node in network.nodes}
        self.exponents: dict[int, int] = {}
        self.uses: dict[tuple[str, int], Format] = {}
        self.products: dict[str, _Linear] = {}
        self.borders: dict[str, dict[int, Border]] = {}
        for border in self.groups.borders:
            self.borders.setdefault(border.node, {})[border.index] = border
        self.raised = False
        self.beyond: dict[str, QuantizationError] = {}
        self._initial()

    def _initial(self) -> None:
        for index, names in self.groups.measured.items():
            seen = [self.stats[name] for name in names if name in self.stats]
            constants = [c.const for c in self.groups.constants[index] if c.const is not None]
            seen += [self._constant(values, self.ways[index]) for values in constants]
            self.exponents[index] = self._best(seen, self.groups.bits[index], self.ways[index]) if seen else 0
            self.exponents[index] += self.steps.get(index, 0) if self.ways[index][0] != GIVEN else 0
        for node, limit in self._limits():
            index = self.groups.of[node.input(0).name]
            if 0 in self.borders.get(node.name, {}):
                continue
            # What is far below zero may saturate: its exponential is zero either way.
            highest = (self.stats[name].maximum for name in self.groups.measured[index] if name in self.stats)
            if max(highest, default=0.0) > np.ldexp(qrange(self.bits[node.name])[1] + 0.5, limit):
                self._within(node, self.exponents[index], limit)
            self.exponents[index] = min(self.exponents[index], limit)
        self.exponents.update(self.groups.pinned)
        for node in self.network.nodes:
            ports = self.ports[node.name]
            if self.bits[node.name] == 32:
                continue
            self._constants(node, ports)
            if ports.product is not None:
                weights = weights_of(node, ports, self.target, self.bits[node.name])
                self.products[node.name] = _Linear(node, ports, weights)

    def _best(self, seen: list[ValueStats], width: int, way: Way) -> int:
        method, percentile = way
        if method == GIVEN:
            return int(percentile)
        chosen = choose_exponent(seen, width, method, percentile=percentile)
        roomy = method == "mse" and any(v.largest > 0 for v in seen)
        return max(chosen + HEADROOM[width] * roomy, -FARTHEST_EXPONENT)

    def _constant(self, values: NDArray[Any], way: Way) -> ValueStats:
        histograms = way[0] != GIVEN and method_named(way[0]).histograms
        return constant_stats(values.astype(np.float32), self.target.rounding, histograms=histograms)

    def _constants(self, node: FloatNode, ports: Ports) -> None:
        """Constants read like activations, where they are free to have an exponent of their own."""
        for index, (operand, port) in enumerate(zip(node.inputs, ports.inputs, strict=True)):
            free = port.kind is Kind.ACTIVATION and index not in ports.tied
            if free and operand is not None and operand.const is not None:
                width = port.bits or self.bits[node.name]
                best = max(int(least_error(operand.const, None, width)[0]), -FARTHEST_EXPONENT)
                exponent = best if port.exponent is None else port.exponent
                self.uses[node.name, index] = Format(width, (exponent,))

    def settle(self) -> None:
        """Raise exponents until every rule holds: node by node, each when all before it are settled."""
        for _ in range(_ROUNDS):
            self.raised = False
            for node in self.network.nodes:
                for border in self.borders.get(node.name, {}).values():
                    self._border(border)
                if node.name in self.products:
                    self._product(self.products[node.name])
            if not self.raised:
                break
        else:
            raise QuantizationError("the chip's rules on shifts admit no exponents for this network.", subject="model")
        for node, limit in self._limits():
            self._within(node, self._arriving(node, 0), limit)

    def _within(self, node: FloatNode, exponent: int, limit: int) -> None:
        """Note an exponent beyond what a node's kernel can take."""
        if exponent > limit:
            bits, wide = self.bits[node.name], self.ports[node.name].largest_wide_exponent
            lower = "Subtract its largest element in front (ReduceMax, Sub) and add it behind."
            error = QuantizationError(
                f"its input needs exponent {exponent}, and the int{bits} kernel overflows beyond {limit}.",
                subject=node.subject,
                hint="Run it in int16." if wide is None else lower,
            )
            self.beyond.setdefault(node.name, error)

    def _product(self, linear: _Linear) -> None:
        """Rule 1 (no negative shift), rule 3 (the bias fits), no shift beyond the chip's."""
        node, product = linear.node, linear.ports.product
        assert product is not None
        output = self.groups.of[node.outputs[0].name]
        first = self._arriving(node, product[0])
        if linear.weights is None:
            second = np.asarray([self._arriving(node, product[1])], dtype=np.int64)
        else:
            second = linear.weights.fitted(first, self.target)
        needed = int(np.max(first + second))
        self._raise(output, needed, node.subject)
        if linear.weights is not None:
            second = np.maximum(second, self.exponents[output] - first - self.target.max_shift)
        linear.current = second

    def _arriving(self, node: FloatNode, index: int) -> int:
        operand = node.input(index)
        use = self.uses.get((node.name, index))
        if use is not None:
            return use.exponent
        found = self.groups.of.get(operand.name)
        if found is None:
            raise QuantizationError(f"input {operand.name!r} has no integer format.", subject=node.subject)
        border = self.borders.get(node.name, {}).get(index)
        return self.exponents[found] if border is None else self._arrival(border)

    def _arrival(self, border: Border) -> int:
        if border.exponent is not None:
            return border.exponent
        return self._narrowed(border.value, border.bits) if border.group is None else self.exponents[border.group]

    def _narrowed(self, value: str, width: int) -> int:
        """The exponent of a value read in another width: kept when widened, chosen anew (never finer) when narrowed."""
        home = self.groups.of[value]
        if width > self.groups.bits[home]:
            return self.exponents[home]
        if value not in self.stats:
            return self.exponents[home] + 8
        way = self.ways[home] if self.ways[home][0] != GIVEN else ("mse", PERCENTILE)
        return max(self._best([self.stats[value]], width, way), self.exponents[home])

    def _border(self, border: Border) -> None:
        """No left shift where a value enters another group, except into more bits, where it cannot overflow."""
        home = self.groups.of[border.value]
        if border.group is not None and border.bits <= self.groups.bits[home]:
            self._raise(border.group, self.exponents[home], f"value {border.value!r}")

    def _raise(self, index: int, needed: int, subject: str) -> None:
        """Make a group's exponent at least ``needed``."""
        if needed > self.exponents[index]:
            if index in self.groups.pinned:
                reason = f"needs exponent {needed}, and the runtime dictates {self.groups.pinned[index]}."
                raise QuantizationError(reason, subject=subject, hint="Run it in int16.")
            self.exponents[index] = needed
            self.raised = True

    def _limits(self) -> list[tuple[FloatNode, int]]:
        """Nodes whose kernel overflows beyond an input exponent, with that exponent."""
        found = []
        for node in self.network.nodes:
            ports = self.ports[node.name]
            limit = {8: ports.largest_input_exponent, 16: ports.largest_wide_exponent}.get(self.bits[node.name])
            if limit is not None and node.input(0).name in self.groups.of:
                found.append((node, limit))
        return found

    def formats(self) -> Formats:
        """The settled choice."""
        values = {
            name: Format(self.groups.bits[index], (self.exponents[index],)) for name, index in self.groups.of.items()
        }
        uses = dict(self.uses)
        for border in self.groups.borders:
            needed = Format(border.bits, (self._arrival(border),))
            if needed != values[border.value]:
                uses[border.node, border.index] = needed
        for linear in self.products.values():
            if linear.weights is not None:
                weights = linear.weights
                chosen_exponents = tuple(int(e) for e in linear.current)
                uses[linear.node.name, weights.index] = Format(weights.bits, chosen_exponents, weights.axis)
        return Formats(values, uses)
