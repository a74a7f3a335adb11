"""Going through a network step by step with calibration samples, as floats and as the chip computes.

At every linear node whose weights are constant, an *adjustment* sees what reaches the node in both worlds and may
give it other weights or another bias; what follows is computed with those. Every step is lowered and run by itself,
exactly, so adjustments deal with what the chip does, errors of all earlier layers included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.weights import weights_of
from tinsmith.cores import cores
from tinsmith.lower import lower
from tinsmith.ops import operators
from tinsmith.ops.floatnode import Array, FloatNode, Network, Operand
from tinsmith.ops.layouts import inverse
from tinsmith.ops.passage import Weighted
from tinsmith.ops.steps import Step, steps
from tinsmith.program import Program
from tinsmith.quant.format import Format, Formats
from tinsmith.simulator.compiled import Compiled, compile_program
from tinsmith.targets import Target

Samples = Sequence[Mapping[str, Array]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """A linear node, and what reaches it.

    Attributes:
        node: The node, with the weights of the float network.
        weighted: Where its weights and channels are.
        format: Format of the weights.
        wanted: Mean of each channel of the node's output in the float network, before any activation, by sample;
            float64, (samples, channels).
        count: How many samples there are.
        chip: Input 0 of a sample as the chip has it, as real numbers, ONNX order.
        real: The same in the float network.
        target: The chip.
        fits: Whether the chip's accumulator, and its shift, have room for a node with weights in a format.
        run_all: Applies a function to each sample's index, on several cores.
    """

    node: FloatNode
    weighted: Weighted
    format: Format
    wanted: NDArray[np.float64]
    count: int
    chip: Callable[[int], NDArray[np.float32]]
    real: Callable[[int], NDArray[np.float32]]
    target: Target
    fits: Callable[[FloatNode, Format], bool]
    run_all: Callable[[Callable[[int], Array]], list[Array]]

    @property
    def weights(self) -> Array:
        """The float weights."""
        found = self.node.const(self.weighted.weights)
        assert found is not None
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Adjusted:
    """What an adjustment made of a linear node.

    Attributes:
        node: The node.
        format: Of its weights.
    """

    node: FloatNode
    format: Format


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """A network after a walk.

    Attributes:
        network: With the adjusted nodes.
        formats: As before, but for the weights that adjustments gave another.
    """

    network: Network
    formats: Formats


Adjustment = Callable[[Visit], Adjusted]


def walk(
    network: Network,
    formats: Formats,
    bits: Mapping[str, int],
    target: Target,
    samples: Samples,
    adjust: Adjustment,
    progress: Callable[[int, int], None] | None = None,
) -> Walked:
    """Adjust the linear nodes of a network, in order.

    Args:
        network: The network; formats, bits as chosen for it.
        formats: Those of values stay as they are. An adjusted node that no longer fits the chip is left as it was.
        bits: Width of each node by name.
        target: The chip.
        samples: Calibration samples, `{input: array}` in ONNX order. All of them are in memory at once, with the values
            alive at any step.
        adjust: Called for each linear node with constant weights that runs in integers.
        progress: Called with steps done and in all.

    Returns:
        The network with the adjusted nodes, and its formats.
    """
    return _Walk(network, formats, bits, target, samples).run(adjust, progress)


class _Walk:
    def __init__(
        self, network: Network, formats: Formats, bits: Mapping[str, int], target: Target, samples: Samples
    ) -> None:
        self.network = network
        self.formats = formats
        self.bits = bits
        self.target = target
        self.count = len(samples)
        self.steps = steps(network, formats)
        self.reads = Counter(operand.name for step in self.steps for operand in step.inputs)
        self.kept = {operand.name for operand in network.outputs}
        self.floats = {o.name: [np.asarray(s[o.name]) for s in samples] for o in network.inputs}
        self.chips = {o.name: [self._first(o, s[o.name]) for s in samples] for o in network.inputs}
        self.pool = ThreadPoolExecutor(cores())

    def _first(self, operand: Operand, array: Array) -> Array:
        chosen = self.formats.values.get(operand.name)
        return np.asarray(array) if chosen is None else chosen.quantize(array, self.target.rounding)

    def run(self, adjust: Adjustment, progress: Callable[[int, int], None] | None) -> Walked:
        adjusted: dict[str, FloatNode] = {}
        with self.pool:
            for done, step in enumerate(self.steps):
                if progress is not None:
                    progress(done, len(self.steps))
                node = self._step(step, adjust)
                if node is not step.node:
                    adjusted[node.name] = node
        nodes = tuple(adjusted.get(node.name, node) for node in self.network.nodes)
        return Walked(replace(self.network, nodes=nodes), self.formats)

    def _step(self, step: Step, adjust: Adjustment) -> FloatNode:
        node = step.node
        weighted = operators()[node.op_type].passage(node)
        floats, means = self._in_floats(step, weighted.channels if isinstance(weighted, Weighted) else None)
        if isinstance(weighted, Weighted) and self.bits[node.name] != 32:
            node = self._adjusted(step, weighted, means, adjust)
        own = replace(step, node=node)
        alone = Network(own.nodes, own.inputs, own.outputs)
        exact = Exact(alone, self.formats, self.bits, self.target)
        chips = self._all(lambda index: exact.run({name: self.chips[name][index] for name in exact.inputs}))
        for output in step.outputs:
            self.floats[output.name] = [result[output.name] for result in floats]
            self.chips[output.name] = [result[output.name] for result in chips]
        for name in [operand.name for operand in step.inputs]:
            self.reads[name] -= 1
            if not self.reads[name] and name not in self.kept:
                self.floats.pop(name, None)
                self.chips.pop(name, None)
        return node

    def _in_floats(self, step: Step, axis: int | None) -> tuple[list[dict[str, Array]], NDArray[np.float64]]:
        """The step's outputs of every sample, and the mean of each channel before the activation."""
        before = step.node.outputs[0].name
        run = FloatNodes(step.nodes, list(dict.fromkeys((*step.outputs, step.node.outputs[0]))))
        kept = {output.name for output in step.outputs}

        def one(index: int) -> tuple[dict[str, Array], NDArray[np.float64]]:
            found = run({name: self.floats[name][index] for name in run.inputs})
            means = np.zeros(0) if axis is None else channel_means(found[before], axis)
            return {name: array for name, array in found.items() if name in kept}, means

        results = self._all(one)
        means: NDArray[np.float64] = np.stack([means for _, means in results])
        return [found for found, _ in results], means

    def _adjusted(self, step: Step, weighted: Weighted, means: NDArray[np.float64], adjust: Adjustment) -> FloatNode:
        node = step.node
        source = node.input(0).name
        chosen = self.formats.at(node.name, weighted.weights, node.input(weighted.weights).name)
        if chosen is None:
            return node
        found, arrays = self.formats.values.get(source), self.chips[source]

        def chip(index: int) -> Array:
            array = arrays[index]
            return array if found is None or array.dtype.kind == "f" else found.dequantize(array)

        arriving = self.formats.at(node.name, 0, source)
        if arriving is None:
            return node
        lowest = self._lowest(step, arriving.exponent)

        def fits(changed: FloatNode, weights: Format) -> bool:
            enough = min(weights.exponents) >= min(lowest, *chosen.exponents)
            return enough and _fits(changed, weights, arriving.exponent, self.target, self.bits[node.name])

        reals = self.floats[source]
        made = adjust(
            Visit(node, weighted, chosen, means, self.count, chip, reals.__getitem__, self.target, fits, self._all)
        )
        if not fits(made.node, made.format):
            return node
        self.formats = self.formats.changed((node.name, weighted.weights), made.format)
        return made.node

    def _lowest(self, step: Step, arriving: int) -> int:
        """The finest exponent of weights from which the chip can still shift to the output's."""
        output = self.formats.values[step.outputs[0].name]
        return output.exponent - arriving - self.target.max_shift

    def _all(self, function: Callable[[int], T]) -> list[T]:
        return list(self.pool.map(function, range(self.count)))


def _fits(node: FloatNode, chosen: Format, arriving: int, target: Target, bits: int) -> bool:
    ports = operators()[node.op_type].ports(node, target)
    weights = weights_of(node, ports, target, bits)
    return weights is None or weights.hold(np.asarray(chosen.exponents), arriving, target)


class Exact:
    """Some nodes as a program of their own, on arrays in ONNX order.

    Args:
        network: The nodes.
        formats: Of their values.
        bits: Width of each node by name.
        target: The chip.
        checked: Whether accumulators that saturate do so here, too.
    """

    def __init__(
        self, network: Network, formats: Formats, bits: Mapping[str, int], target: Target, *, checked: bool = False
    ) -> None:
        lowered = lower(network, formats, bits, target)
        self.inputs = tuple(operand.name for operand in network.inputs)
        self._perms = lowered.perms
        self._shapes = {operand.name: operand.shape for operand in network.outputs}
        self._compiled: Compiled = compile_program(lowered.program, target, checked=checked)
        self._compiled.open(1)

    @property
    def program(self) -> Program:
        """The lowered nodes."""
        return self._compiled.program

    def run(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs, integers where they are; inputs may be integers or real numbers."""
        feeds = {}
        for value in self._compiled.program.inputs:
            array = values[value.name].transpose(self._perms[value.name])
            if value.dtype.quantized and array.dtype.kind == "f":
                array = self._compiled.target.rounding.quantize(array, value.exponent, value.dtype.bits)
            feeds[value.name] = np.asarray(array, order="C")
        found = self._compiled.run(feeds)
        return {name: self._in_onnx_order(name, array) for name, array in found.items()}

    def _in_onnx_order(self, name: str, array: Array) -> Array:
        perm = self._perms[name]
        laid_out = array.reshape([self._shapes[name][axis] for axis in perm])  # the chip has no scalars
        return laid_out.transpose(inverse(perm))


def channel_means(array: Array, axis: int) -> NDArray[np.float64]:
    """The mean of each channel along ``axis``."""
    axis %= array.ndim
    found: NDArray[np.float64] = array.mean(axis=tuple(d for d in range(array.ndim) if d != axis), dtype=np.float64)
    return found
