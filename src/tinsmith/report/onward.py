"""From a layer onward: what other results of one layer do to the network's outputs, in floats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.walk import channel_means
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, FloatNode, Network, Operand

Values = Mapping[str, Array]
Samples = Sequence[Values]


class Onward:
    """A layer of the float network, what comes before it, and what is behind it.

    Args:
        network: The float network, in which the layer is one node.
        layer: Its name.
        axis: Of the channels of its results.
        samples: `{input: array}`.

    Attributes:
        macs: Multiply-accumulates behind the layer.
    """

    def __init__(self, network: Network, layer: str, axis: int, samples: Samples) -> None:
        behind = list(_behind(network, layer))
        node = next(node for node in network.nodes if node.name == layer)
        made = {output.name for one in behind for output in one.outputs}
        self._axis = axis
        self._results = node.outputs
        self._outputs = [operand.name for operand in network.outputs if operand.dtype.kind == "f"]
        ends = [operand for operand in network.outputs if operand.name in self._outputs and operand.name in made]
        self._run = FloatNodes(behind, ends) if ends else None
        read = () if self._run is None else self._run.inputs
        given = {operand.name for operand in network.inputs}
        operands = {o.name: o for o in _operands(network)}
        inputs = [i.name for i in node.inputs if i is not None and i.const is None]
        wanted = [name for name in dict.fromkeys((*inputs, *read, *self._names, *self._outputs)) if name not in given]
        front = FloatNodes(network.nodes, [operands[name] for name in wanted])
        self.clean: list[dict[str, Array]] = [{**sample, **front(sample)} for sample in samples]

    @property
    def _names(self) -> list[str]:
        return [operand.name for operand in self._results]

    def noise(self, run: Callable[[Values], dict[str, Array]], *, centred: bool) -> float:
        """Noise at the network's outputs: squared error over squared signal, the mean over outputs.

        Args:
            run: Computes the layer's results from undisturbed values.
            centred: Whether the error of each channel loses its mean over all samples, as corrected biases see to.
        """
        made = [run(values) for values in self.clean]
        if centred:
            made = self._centred(made)
        ends = [self._ends(values, one) for values, one in zip(self.clean, made, strict=True)]
        return float(np.mean([self._energy(name, ends) for name in self._outputs] or [0.0]))

    def _ends(self, values: Values, made: Values) -> dict[str, Array]:
        found = dict(made) if self._run is None else {**made, **self._run({**values, **made})}
        return {name: found[name] for name in self._outputs if name in found}

    def _energy(self, name: str, ends: Samples) -> float:
        signal = sum(float(np.square(values[name], dtype=np.float64).sum()) for values in self.clean)
        pairs = ((end[name], values[name]) for end, values in zip(ends, self.clean, strict=True) if name in end)
        noise = sum(float(np.square(had - was, dtype=np.float64).sum()) for had, was in pairs)
        return noise / max(signal, 1e-30)

    def _centred(self, made: Sequence[dict[str, Array]]) -> list[dict[str, Array]]:
        """A mean over a few samples fits those better than others: what is left of theirs is scaled up by as much."""
        found = [dict(one) for one in made]
        for name in (operand.name for operand in self._results if operand.dtype.kind == "f"):
            errors = [one[name] - values[name] for one, values in zip(made, self.clean, strict=True)]
            if not errors[0].ndim:
                continue
            means = np.stack([channel_means(error, self._axis) for error in errors])
            count = len(means)
            lost = 1 - np.sqrt(count / (count - 1)) if count > 1 else 0.0
            mean = means.mean(axis=0)
            shape = [-1 if d == self._axis % errors[0].ndim else 1 for d in range(errors[0].ndim)]
            for one, own in zip(found, means, strict=True):
                one[name] = one[name] - (mean + lost * (own - mean)).reshape(shape).astype(np.float32)
        return found


def macs_behind(network: Network, layer: str) -> int:
    """Multiply-accumulates behind a layer."""
    return sum(operators()[node.op_type].cost(node).macs for node in _behind(network, layer))


def _behind(network: Network, layer: str) -> Iterator[FloatNode]:
    """The nodes that a layer's results reach, in order."""
    reached: set[str] = set()
    for node in network.nodes:
        if node.name == layer:
            reached.update(output.name for output in node.outputs)
        elif any(i is not None and i.name in reached for i in node.inputs):
            reached.update(output.name for output in node.outputs)
            yield node


def _operands(network: Network) -> Iterator[Operand]:
    yield from network.inputs
    for node in network.nodes:
        yield from node.outputs
