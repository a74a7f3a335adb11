"""Where the noise at a network's outputs comes from: which rounding makes how much of it.

Two kinds of places make noise: a node with rounded weights, and a value as one of its readers gets it, rounded and
saturated. Each of these errors is computed as it is on calibration samples, put into the float network there and
nowhere else, and carried to the outputs; its energy there, relative to that of the outputs, is a `Term`. Errors of
different places have little to do with each other, so that the sum of the terms is a model of the whole noise.

A term goes away only if all nodes that it needs run in int16. For rounded weights that is their node. For a value
and a reader these are whoever computes the value and whoever reads it, for between two widths there is a
RequantizeLinear, which rounds to the narrower one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from tinsmith.algorithms.carry import Carrier, Path, Place, Run, Values, rounded
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.units import Units, units
from tinsmith.algorithms.walk import Exact, Samples
from tinsmith.cores import cores
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, FloatNode, Network, Operand, readers
from tinsmith.ops.passage import Weighted
from tinsmith.ops.ports import Kind
from tinsmith.quant.format import Formats
from tinsmith.targets import Target

WORK = 1e11
"""Multiply-accumulates that may be spent, roughly: decides how many samples are used."""
MOST_SAMPLES = 8
LEAST_SAMPLES = 2

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Term:
    """Noise that one place makes.

    Attributes:
        value: The value that is rounded; empty where what a node rounds inside makes the noise.
        reader: The node that reads it, empty for an output of the network; or the node that makes the noise. Both are
            empty for what equalization has changed.
        needs: The units (`tinsmith.algorithms.units`) that must run in int16 for it to go away; empty where nothing
            helps.
        noise: Squared error over squared signal at the outputs; the mean over outputs.
    """

    value: str
    reader: str
    needs: frozenset[str]
    noise: float


@dataclass(frozen=True, slots=True, eq=False)
class LayerNoise:
    """All of a network's noise.

    Attributes:
        terms: Place by place.
        units: What runs in the same width.
    """

    terms: tuple[Term, ...]
    units: Units

    @property
    def total(self) -> float:
        """The noise at the outputs, as far as the terms tell."""
        return sum(term.noise for term in self.terms)

    def left(self, promoted: frozenset[str]) -> float:
        """The noise that is left if some units run in int16."""
        return sum(term.noise for term in self.terms if not term.needs or not term.needs <= promoted)


def layer_noise(
    network: Network,
    tuned: Network,
    formats: Formats,
    bits: Mapping[str, int],
    target: Target,
    samples: Samples,
    *,
    original: Network | None = None,
    corrected: bool = True,
    progress: Progress = lambda done, total: None,
) -> LayerNoise:
    """Find out which rounding makes how much noise.

    Args:
        network: The float network for which the formats were chosen, weights not rounded.
        tuned: The same with weights rounded for the data; ``network`` itself where they go to the nearest integer.
            Weights that make good for errors before them are errors themselves where these are not, as here: the
            sum of the terms is then rather too large.
        formats: Of the tuned network.
        bits: Width of each node by name.
        target: The chip.
        samples: Calibration samples, `{input: array}`, at least one; a few of them are used. Best those that tuning
            has not seen: weights and biases fit the others better than any to come.
        original: The network before equalization, where ``network`` is not the same function on all samples, since a
            Clip cuts off a channel that it did not cut when the factors were chosen. How far they are apart is a term
            that no width changes.
        corrected: Whether biases are corrected: every channel of a linear layer then has the float network's mean,
            whatever the errors before it.
        progress: Called with places done and in all.
    """
    parts = units(network, bits, target)
    places = [*_Reads(network, formats, bits, target, parts).places()]
    for index, (node, other) in enumerate(zip(network.nodes, tuned.nodes, strict=True)):
        noisy = _noisy(node, other, formats, bits, target)
        if noisy is not None:
            places.append(Place(((node.name, ""),), frozenset({parts.of[node.name]} & parts.free), index, noisy))
    places.sort(key=lambda place: place.start)
    count = sample_count(network, len(places), len(samples))
    carrier = Carrier(network, formats, target, samples[:: len(samples) // count][:count], corrected=corrected)
    terms: list[Term] = []
    apart = [] if original is None else [Term("", "", frozenset(), carrier.distance(original))]
    with ThreadPoolExecutor(cores()) as pool:
        while len(terms) < len(places):
            progress(len(terms), len(places))
            some = carrier.affordable(places[len(terms) :])
            for place, noise in zip(some, carrier.carry(some, pool), strict=True):
                terms.append(Term(place.path[0][1], place.path[-1][0], place.needs, noise))
    return LayerNoise((*terms, *apart), parts)


def sample_count(network: Network, places: int, available: int) -> int:
    """How many samples are worth their time: few of a large network, `MOST_SAMPLES` of a small one."""
    macs = sum(operators()[node.op_type].cost(node).macs for node in network.nodes)
    return int(min(np.clip(WORK / (macs * places / 2 + 1), LEAST_SAMPLES, MOST_SAMPLES), available))


class _Reads:
    """Every rounded value with every reader, past the nodes that only move it."""

    def __init__(
        self, network: Network, formats: Formats, bits: Mapping[str, int], target: Target, parts: Units
    ) -> None:
        self.network = network
        self.target = target
        self.formats = formats
        self.bits = bits
        self.parts = parts
        self.nodes = {node.name: node for node in network.nodes}
        self.index = {node.name: index for index, node in enumerate(network.nodes)}
        self.outputs = {operand.name for operand in network.outputs}
        self.readers = {name: tuple(dict.fromkeys(found)) for name, found in readers(network).items()}

    def places(self) -> Iterator[Place]:
        for operand in self.network.inputs:
            if operand.name in self.formats.values:
                # The value has the width of its first reader.
                first = [node.name for node in self.readers.get(operand.name, ()) if self.bits[node.name] != 32][:1]
                yield from self._from(operand.name, first)
        for node in self.network.nodes:
            ports = operators()[node.op_type].ports(node, self.target)
            for output, port in zip(node.outputs, ports.outputs, strict=True):
                if output.name in self.formats.values and self._rounds(node, output):
                    # What is computed as floats is rounded by whoever reads it.
                    yield from self._from(output.name, [node.name] if port.kind is Kind.ACTIVATION else [])
                elif self._moves(node):
                    yield from self._borders(output.name)

    def _borders(self, value: str) -> Iterator[Place]:
        """What has been moved and enters another group is rounded once more."""
        for reader in self.readers.get(value, ()):
            own = self.formats.values.get(value)
            reads = [index for index, i in enumerate(reader.inputs) if i is not None and i.name == value]
            if any(own is not None and self.formats.at(reader.name, index, value) != own for index in reads):
                yield from self._onwards(((reader.name, value),), [], border=True)

    def _rounds(self, node: FloatNode, output: Operand) -> bool:
        """Whether the value is rounded here: it is not moved, and no activation that runs with the node follows."""
        if self._moves(node):
            return False
        inside = (r for r in self.readers.get(output.name, ()) if self.parts.of[r.name] == self.parts.of[node.name])
        return all(self._moves(reader) for reader in inside)

    def _moves(self, node: FloatNode) -> bool:
        return operators()[node.op_type].passive and self.bits[node.name] != 32

    def _from(self, value: str, makers: list[str]) -> Iterator[Place]:
        """Every way from a value that is rounded to a reader that computes."""
        for reader in self.readers.get(value, ()):
            yield from self._onwards(((reader.name, value),), makers)
        if value in self.outputs:
            yield self._place((("", value),), makers)

    def _onwards(self, path: Path, makers: list[str], *, border: bool = False) -> Iterator[Place]:
        node = self.nodes[path[-1][0]]
        if not self._moves(node):
            yield self._place(path, makers, border=border)
            return
        for name in (output.name for output in node.outputs):
            if name in self.outputs:
                yield self._place((*path, ("", name)), makers, border=border)
            for reader in self.readers.get(name, ()):
                yield from self._onwards((*path, (reader.name, name)), makers, border=border)

    def _place(self, path: Path, makers: list[str], *, border: bool = False) -> Place:
        names = [*makers, *(name for name, _ in path if name)]
        narrow = frozenset(self.parts.of[name] for name in names if self.bits[name] == 8)
        start = self.index.get(path[0][0], len(self.network.nodes))
        return Place(path, narrow if narrow <= self.parts.free else frozenset(), start, border=border)


def _noisy(node: FloatNode, tuned: FloatNode, formats: Formats, bits: Mapping[str, int], target: Target) -> Run | None:
    """A node as it computes with what is rounded inside it; None where nothing is."""
    operator = operators()[node.op_type]
    if bits[node.name] == 32 or operator.passive or operator.function is not None:
        return None
    weighted = operator.passage(node)
    if not isinstance(weighted, Weighted):
        return _Inside(node, formats, bits, target)
    weights = tuned.input(weighted.weights)
    chosen = formats.at(node.name, weighted.weights, weights.name)
    if chosen is None or weights.const is None:
        return None
    inputs = list(node.inputs)
    inputs[weighted.weights] = replace(weights, const=rounded(weights.const, chosen, target))
    return FloatNodes([replace(node, inputs=tuple(inputs))], node.outputs)


class _Inside:
    """What a node's own arithmetic adds to its result, beyond the rounding of inputs and outputs."""

    def __init__(self, node: FloatNode, formats: Formats, bits: Mapping[str, int], target: Target) -> None:
        read = {i.name: i for i in node.inputs if i is not None and i.const is None}
        self._node = node
        self._formats = formats
        self._target = target
        self._exact = Exact(Network((node,), tuple(read.values()), node.outputs), formats, bits, target)
        self._float = FloatNodes([node], node.outputs)

    def __call__(self, values: Values) -> dict[str, Array]:
        arriving = dict(values)
        for index, operand in enumerate(self._node.inputs):
            if operand is not None and operand.const is None:
                whole = rounded(values[operand.name], self._formats.values.get(operand.name), self._target)
                chosen = self._formats.at(self._node.name, index, operand.name)
                arriving[operand.name] = rounded(whole, chosen, self._target)
        found, wanted = self._exact.run(values), self._float(arriving)
        result = self._float(values)
        for name, array in found.items():
            chosen = self._formats.values.get(name)
            if chosen is not None and array.dtype.kind == "i":
                array, wanted[name] = chosen.dequantize(array), rounded(wanted[name], chosen, self._target)
            flips = array.dtype.kind == "b"
            changed = result[name] ^ array ^ wanted[name] if flips else result[name] + (array - wanted[name])
            result[name] = np.asarray(changed)
        return result
