"""Carrying errors through the float network: each by itself, from where it arises to the outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.walk import Samples, channel_means
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, FloatNode, Network
from tinsmith.ops.passage import Weighted
from tinsmith.quant.format import Format, Formats
from tinsmith.targets import Target

MEMORY = 600_000_000
"""Bytes of values that are carried at a time, roughly."""

Values = Mapping[str, Array]
Path = tuple[tuple[str, str], ...]
Run = Callable[[Values], dict[str, Array]]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where an error is put in: into a value as one reader gets it, or into the results of a node.

    Attributes:
        path: Nodes that the rounded value goes through, each with the value it reads: any that move it, then the
            reader, whose name is empty for an output of the network. Or the node that makes the noise, with an empty
            value.
        needs: Units that must run in int16 for the error to go away.
        start: Index of the path's first node; the number of nodes where an output is read directly.
        noisy: The node as the chip computes it, where the node makes the noise.
        border: Whether only entering the first node's format rounds, not the value's own.
    """

    path: Path
    needs: frozenset[str]
    start: int
    noisy: Run | None = None
    border: bool = False


class Carrier:
    """Runs the float network node by node, undisturbed and with every error by itself.

    Args:
        network: The float network.
        formats: In which its values are rounded.
        target: The chip.
        samples: `{input: array}`.
        corrected: Whether what an error does to the mean of a channel of a linear node is taken away again.
    """

    def __init__(
        self, network: Network, formats: Formats, target: Target, samples: Samples, *, corrected: bool
    ) -> None:
        self.network = network
        self.formats = formats
        self.target = target
        self.samples = samples
        self.corrected = corrected
        self._nodes = {node.name: node for node in network.nodes}
        self._outputs = [o.name for o in network.outputs if o.dtype.kind == "f"]
        self._runs = [FloatNodes([node], node.outputs) for node in network.nodes]
        self._last = {i.name: k for k, node in enumerate(network.nodes) for i in node.inputs if i is not None}
        self._last.update(dict.fromkeys((o.name for o in network.outputs), len(network.nodes)))

    def affordable(self, places: Sequence[Place]) -> Sequence[Place]:
        """The first of some places, so many that carrying their errors at a time fits into memory."""
        most = max(self._alive()[places[0].start :], default=1) * len(self.samples)
        return places[: max(1, MEMORY // max(most, 1))]

    def carry(self, places: Iterable[Place], pool: ThreadPoolExecutor) -> list[float]:
        """The noise that each error makes at the outputs: squared error over squared signal, the mean over outputs."""
        count = len(self.samples)
        clean = [dict(sample) for sample in self.samples]
        errors = [_Error(place, [{} for _ in range(count)]) for place in places]
        for index, node in enumerate(self.network.nodes):
            before = [dict(values) for values in clean]
            for values, made in zip(clean, pool.map(self._runs[index], before), strict=True):
                values.update(made)
            met = [error for error in errors if error.meets(node)]
            list(pool.map(partial(self._through, index, before, clean), met))
            self._forget(index, clean, errors)
        for error in errors:
            self._arrive(error, clean)
        return [self._energy(error, clean) for error in errors]

    def distance(self, other: Network) -> float:
        """How far another float network is from this one, as noise at the outputs."""
        outputs = [operand for operand in self.network.outputs if operand.name in self._outputs]
        ours, theirs = (FloatNodes(one.nodes, outputs) for one in (self.network, other))
        disturbed, clean = ([run(sample) for sample in self.samples] for run in (ours, theirs))
        return self._energy(_Error(Place((), frozenset(), 0), disturbed), clean)

    def _through(self, index: int, before: Sequence[Values], clean: Sequence[Values], error: _Error) -> None:
        """Takes one error through a node."""
        for k, values in enumerate(error.values):
            made = self._disturbed(index, error, k, before[k])
            if not error.released:
                values.clear()  # what came here on the path has other readers, which do not see the error
            values.update(made)
        self._settle(error, self.network.nodes[index], clean)

    def _alive(self) -> list[int]:
        """Bytes of one sample's values that are in memory at each node."""
        found = []
        sizes: dict[str, int] = {}
        for index, node in enumerate(self.network.nodes):
            sizes.update({output.name: 4 * int(np.prod(output.shape)) for output in node.outputs})
            found.append(sum(sizes.values()))
            sizes = {name: size for name, size in sizes.items() if self._last.get(name, -1) > index}
        return found

    def _disturbed(self, index: int, error: _Error, k: int, clean: Values) -> dict[str, Array]:
        """The results of a node that meets an error, for one sample."""
        if error.released:
            return self._runs[index]({**clean, **error.values[k]})
        if error.place.noisy is not None:
            return error.place.noisy(clean)
        value = error.place.path[error.position][1]
        return self._runs[index]({**clean, value: self._arriving(error, k, clean)})

    def _arriving(self, error: _Error, k: int, clean: Values) -> Array:
        """The rounded value where its path has come to."""
        place = error.place
        name, value = place.path[error.position]
        if error.position:
            return error.values[k][value]
        array = clean[value] if place.border else rounded(clean[value], self.formats.values.get(value), self.target)
        for index, operand in enumerate(self._nodes[name].inputs if name else ()):
            if operand is not None and operand.name == value:
                array = rounded(array, self.formats.at(name, index, value), self.target)
        return array

    def _settle(self, error: _Error, node: FloatNode, clean: Sequence[Values]) -> None:
        """A node is behind: its results are what is disturbed now, less what a bias takes away."""
        if not error.released:
            error.position += 1
        weighted = operators()[node.op_type].passage(node)
        if self.corrected and isinstance(weighted, Weighted):
            self._correct(error, node, weighted.channels, clean)
        for output in node.outputs if error.released else ():
            pairs = zip(error.values, clean, strict=True)
            if all(np.array_equal(had[output.name], was[output.name]) for had, was in pairs):
                for had in error.values:
                    del had[output.name]

    def _correct(self, error: _Error, node: FloatNode, axis: int, clean: Sequence[Values]) -> None:
        """Takes away what the error does to the means of channels, as corrected biases do.

        A mean over a few samples fits those better than others: the first time, what is left of theirs is scaled up by
        as much.
        """
        output = node.outputs[0]
        pairs = [(had, was[output.name]) for had, was in zip(error.values, clean, strict=True)]
        means = np.stack([channel_means(had[output.name] - was, axis) for had, was in pairs])
        count = len(means)
        lost = 1 - np.sqrt(count / (count - 1)) if count > 1 and not error.corrected else 0.0
        error.corrected = True
        mean = means.mean(axis=0)
        shape = [-1 if d == axis % output.rank else 1 for d in range(output.rank)]
        for (had, _), own in zip(pairs, means, strict=True):
            shift = mean + lost * (own - mean)
            had[output.name] = had[output.name] - shift.reshape(shape).astype(np.float32)

    def _forget(self, index: int, clean: Sequence[dict[str, Array]], errors: Sequence[_Error]) -> None:
        for values in (*clean, *(values for error in errors if error.released for values in error.values)):
            for name in [name for name in values if self._last.get(name, -1) <= index]:
                del values[name]

    def _arrive(self, error: _Error, clean: Sequence[Values]) -> None:
        """A value that is read as an output of the network."""
        if not error.released:
            value = error.place.path[error.position][1]
            for k, values in enumerate(error.values):
                values[value] = self._arriving(error, k, clean[k])

    def _energy(self, error: _Error, clean: Sequence[Values]) -> float:
        shares = []
        for name in self._outputs:
            signal = sum(float(np.square(values[name], dtype=np.float64).sum()) for values in clean)
            noise = sum(
                float(np.square(had[name] - was[name], dtype=np.float64).sum())
                for had, was in zip(error.values, clean, strict=True)
                if name in had
            )
            shares.append(noise / max(signal, 1e-30))
        return float(np.mean(shares)) if shares else 0.0


def rounded(array: Array, chosen: Format | None, target: Target) -> Array:
    """Real numbers as a format holds them; unchanged where there is none."""
    if chosen is None or array.dtype.kind != "f":
        return array
    return np.asarray(chosen.dequantize(chosen.quantize(array, target.rounding)))  # scalars stay arrays


@dataclass(slots=True, eq=False)
class _Error:
    """An error on its way.

    Attributes:
        place: Where it arises.
        values: By sample: the values that differ from the undisturbed ones.
        position: How far it has come on its path; nobody off the path sees it before the end.
        corrected: Whether it has come through a linear node whose bias is corrected.
    """

    place: Place
    values: list[dict[str, Array]]
    position: int = 0
    corrected: bool = False

    @property
    def released(self) -> bool:
        return self.position == len(self.place.path)

    def meets(self, node: FloatNode) -> bool:
        if not self.released:
            return self.place.path[self.position][0] == node.name
        return any(i is not None and i.name in self.values[0] for i in node.inputs)
