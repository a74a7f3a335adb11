"""Layerwise error: what the network's outputs lose if one layer alone is quantized.

All of the network is in floats but for that layer, which computes as it does on the chip: inputs in their integer
formats, its own rounded weights and bias, its accumulator, its requantization, its activation.

One pass goes through the network layer by layer and carries along, for every layer before, the values that this layer's
error has changed; what no error has reached is computed once. Errors of layers far before go through several nodes at
once, which takes less time. So a pass over a network of N layers costs about N / 2 passes of the float network instead
of N, and nothing is approximated. A dozen samples rank layers as many do.

Weights and biases that were fitted to the data make good for errors of the layers before them. Alone, where nothing is
to be made good, they are errors themselves: the sum over layers is rather more than the network's whole error.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.walk import Exact
from tinsmith.cores import cores
from tinsmith.errors import DataError, ModelError
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, FloatNode, Network
from tinsmith.ops.steps import Step, activations_after_linear
from tinsmith.report.fidelity import Sums
from tinsmith.report.layer_error import LayerError, add, error_of, float_outputs, layers, opened, reference

if TYPE_CHECKING:
    from tinsmith.calibrate.sources import DataSource
    from tinsmith.quantized import Quantized

SHORT, LONG = 4, 12
"""Nodes in a stretch that errors of layers before it go through at once."""
MOST_THREADS = 4
"""Samples that are worked on at once; each keeps the errors of many layers in memory."""
MOST_SAMPLES = 32
LEAST_SAMPLES = 4
WORK = 1.05e11
"""Multiply-accumulates that may be spent where nobody says how many samples to use: 11 samples of MobileNetV2."""

Progress = Callable[[int, int | None], None]
Values = dict[str, Array]


def layerwise(
    quantized: Quantized,
    data: Any,
    samples: int | None = None,
    *,
    outputs: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> tuple[LayerError, ...]:
    """The noise at the network's outputs that each quantized layer makes by itself.

    Args:
        quantized: From `tinsmith.quantize`.
        data: Samples, as `tinsmith.quantize` takes them, in the model's own layout; the recipe's preprocessing applies.
        samples: Use at most so many, spread over the data where their number is known. None: as many as are worth their
            time, 11 of MobileNetV2 and 32 of small networks. Memory does not grow with them.
        outputs: Names of values to look at instead of the network's outputs.
        progress: Called with samples done and in all (None where unknown).

    Returns:
        The layers in the order in which they are computed; figures are means over the outputs.

    Raises:
        DataError: The data cannot be read, a sample does not fit the model, or an output is not there.
        ModelError: The network has no float output.
    """
    watched = _watched(quantized, outputs)
    source = opened(quantized, data, None)
    with ThreadPoolExecutor(1) as setting_up:
        carried = _Carried(quantized, watched, setting_up)
        try:
            return _measured(quantized, carried, source, samples, progress)
        finally:
            setting_up.shutdown(cancel_futures=True)


def _measured(
    quantized: Quantized, carried: _Carried, source: DataSource, samples: int | None, progress: Progress | None
) -> tuple[LayerError, ...]:
    most = carried.worth if samples is None else samples
    total = most if source.length is None else min(source.length, most)
    whole = {name: [Sums() for _ in carried.watched] for name in carried.layers}
    for done, found in enumerate(carried.over(_spread(source, most)), 1):
        for name, every in found.items():
            for sums, one in zip(whole[name], every, strict=True):
                sums.merge(one)
        if progress is not None:
            progress(done, total)
    return tuple(error_of(step, quantized, whole[name]) for name, step in carried.layers.items())


def _watched(quantized: Quantized, names: Sequence[str] | None) -> list[str]:
    network = quantized.network
    if names is None:
        floats = [operand.name for operand in network.outputs if operand.dtype.kind == "f"]
        if not floats:
            raise ModelError("has no float output to look at.", subject=network.name or "network")
        return floats
    inner = activations_after_linear(network)
    computed = [o.name for n in network.nodes if n.name not in inner for o in n.outputs if o.dtype.kind == "f"]
    for name in names:
        if name not in computed:
            close = difflib.get_close_matches(name, computed, n=3) or computed[-3:]
            hint = f"Close to it: {', '.join(map(repr, close))}."
            raise DataError("is no float value that a layer leaves behind.", subject=f"output {name!r}", hint=hint)
    return list(names)


def _spread(source: DataSource, most: int) -> Iterator[Mapping[str, Array]]:
    """So many samples at most, evenly from all over the data where their number is known."""
    length = source.length
    if length is None or length <= most:
        return islice(source, most)
    chosen = {index * length // most for index in range(most)}
    return (sample for index, sample in enumerate(source) if index in chosen)


class _Carried:
    """The float network, one layer after the other, with the error of every layer by itself.

    Args:
        quantized: The network.
        watched: Values to look at.
        setting_up: Sets up what runs the layers, in their order, while the first samples go through those that are
            ready.
    """

    def __init__(self, quantized: Quantized, watched: Sequence[str], setting_up: Executor) -> None:
        network = reference(quantized)
        steps = {step.node.name: step for step in layers(quantized)}
        inside = {step.fused.name for step in steps.values() if step.fused is not None}
        self.layers: Mapping[str, Step] = steps
        self.watched = watched
        floats = {node.name: node for node in network.nodes}
        self._nodes = [
            _of_floats(node, steps.get(node.name), floats) for node in network.nodes if node.name not in inside
        ]
        self._last = {i.name: k for k, node in enumerate(self._nodes) for i in node.inputs if i is not None}
        self._last |= dict.fromkeys(watched, len(self._nodes))
        self._given = {operand.name for operand in network.inputs}
        self._runs: list[Future[FloatNodes]] = []
        self._chip: dict[str, Future[_OnChip]] = {}
        self._stretches: list[tuple[range, Future[FloatNodes | None]]] = []
        for span in self._spans():
            for node in (self._nodes[index] for index in span):
                self._runs.append(setting_up.submit(FloatNodes, [node], [o for o in node.outputs if o.name]))
                if node.name in steps:
                    self._chip[node.name] = setting_up.submit(_OnChip, quantized, steps[node.name])
            self._stretches.append((span, setting_up.submit(self._stretch, span)))

    @property
    def worth(self) -> int:
        """How many samples are worth their time."""
        macs = [operators()[node.op_type].cost(node).macs for node in self._nodes]
        carried = sum(k * count for k, count in enumerate(macs))
        return int(np.clip(WORK / (carried + 1), LEAST_SAMPLES, MOST_SAMPLES))

    def over(self, samples: Iterable[Mapping[str, Array]]) -> Iterator[Mapping[str, Sequence[Sums]]]:
        """What every sample adds, in order: one sample on each core; where fewer are left, their errors are spread."""
        threads = cores(MOST_THREADS)
        iterator = iter(samples)
        with ThreadPoolExecutor(threads) as pool:
            while len(batch := list(islice(iterator, threads))) == threads:
                yield from pool.map(self._run, batch)
            yield from (self._run(sample, pool) for sample in batch)

    def _run(self, sample: Mapping[str, Array], pool: ThreadPoolExecutor | None = None) -> dict[str, list[Sums]]:
        clean: Values = dict(sample)
        errors: dict[str, Values] = {}
        for span, following in self._stretches:
            arriving, fresh = list(errors.values()), dict(clean)
            errors |= self._within(span, clean, pool)
            stretch = following.result()
            if stretch is not None:
                _through(stretch, fresh, arriving, pool)
            for values in errors.values():
                self._forget(values, span.stop - 1)
        found = {layer: [Sums() for _ in self.watched] for layer in self.layers}
        for layer, values in errors.items():
            for name, sums in zip(self.watched, found[layer], strict=True):
                add(sums, values.get(name, clean[name]), clean[name])
        return found

    def _within(self, span: range, clean: Values, pool: ThreadPoolExecutor | None) -> dict[str, Values]:
        """Takes the float values through some nodes; the errors that arise there, by layer, are at their end."""
        errors: dict[str, Values] = {}
        for index in span:
            node, run = self._nodes[index], self._runs[index].result()
            made = run(clean)
            _through(run, clean, list(errors.values()), pool)
            if node.name in self._chip:
                errors[node.name] = _changed(self._chip[node.name].result()(clean), made)
            clean |= made
            for values in (clean, *errors.values()):
                self._forget(values, index)
        return errors

    def _forget(self, values: Values, index: int) -> None:
        """Drop what nobody behind a node reads."""
        for name in [name for name in values if self._last.get(name, -1) <= index]:
            del values[name]

    def _stretch(self, span: range) -> FloatNodes | None:
        """Some nodes as one, to what is read behind them; None where nothing is."""
        made = (output for index in span for output in self._nodes[index].outputs)
        left = [output for output in made if self._last.get(output.name, -1) >= span.stop]
        return FloatNodes([self._nodes[index] for index in span], left) if left else None

    def _spans(self) -> Iterator[range]:
        """Stretches of the network, which end where one value is all that is read further on, or when they are long."""
        start, alive = 0, {operand: last for operand, last in self._last.items() if operand in self._given}
        for index, node in enumerate(self._nodes):
            alive |= {output.name: self._last.get(output.name, -1) for output in node.outputs}
            alive = {name: last for name, last in alive.items() if last > index}
            count = index + 1 - start
            if count >= LONG or (count >= SHORT and len(alive) == 1):
                yield range(start, index + 1)
                start = index + 1
        if start < len(self._nodes):
            yield range(start, len(self._nodes))


class _OnChip:
    """A layer as the chip computes it, from real numbers to real numbers."""

    def __init__(self, quantized: Quantized, step: Step) -> None:
        network = Network(step.nodes, step.inputs, tuple(float_outputs(step)))
        self._formats = quantized.formats
        self._exact = Exact(network, quantized.formats, quantized.widths, quantized.target, checked=True)

    def __call__(self, values: Mapping[str, Array]) -> Values:
        found = self._exact.run(values)
        return {
            name: self._formats.values[name].dequantize(array) if array.dtype.kind == "i" else array
            for name, array in found.items()
        }


def _of_floats(node: FloatNode, step: Step | None, floats: Mapping[str, FloatNode]) -> FloatNode:
    """A node of the float network and its activation as one."""
    activation = None if step is None else step.fused
    return node if activation is None else Step(node, floats[activation.name]).whole


def _through(run: FloatNodes, clean: Values, errors: Sequence[Values], pool: ThreadPoolExecutor | None) -> None:
    """Takes errors through some nodes, those that meet them."""

    def take(values: Values) -> None:
        values |= run({**clean, **values})

    meeting = [values for values in errors if not values.keys().isdisjoint(run.inputs)]
    list(map(take, meeting) if pool is None else pool.map(take, meeting))


def _changed(found: Mapping[str, Array], made: Mapping[str, Array]) -> Values:
    """Of some results those that differ from what they would be."""
    return {name: array for name, array in found.items() if not np.array_equal(array, made[name])}
