"""One layer as the chip computes it, with some of its errors taken out: what would be left tells what makes them.

Each `Variant` is the layer between float values, as in `tinsmith.report.layerwise`, but for one difference: a tensor
that is not rounded, or rounded with an exponent for each channel, or all but its largest elements. The noise that each
leaves at the network's outputs is found by carrying it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from tinsmith.algorithms.carry import rounded
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.walk import Exact
from tinsmith.ops.floatnode import Array, FloatNode, Network, Operand
from tinsmith.ops.steps import Step
from tinsmith.quant.format import Format
from tinsmith.report.channels import weights_index

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

Part = Literal["all", "weights", "input", "output", "inside", "accumulator"]
"""Where in a layer the difference is made: ``inside`` is what its arithmetic rounds beyond inputs and outputs."""

Mechanism = Literal["none", "exact", "channels", "few", "clipping", "own", "unsaturated", "centred"]
"""What is different: nothing; not rounded; an exponent for each channel; without the few largest elements, which stay
exact; elements beyond the format stay exact; the exponent that the tensor would have by itself; wide
accumulators; errors without the mean of each channel."""

Change = Callable[[Array], Array]
Values = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Variant:
    """A layer with one difference.

    Attributes:
        layer: Its name.
        part: Where.
        mechanism: What.
        tensor: Name of the tensor; empty where it is not one.
    """

    layer: str
    part: Part = "all"
    mechanism: Mechanism = "none"
    tensor: str = ""


class Emulated:
    """A layer between float values, as the chip computes it or with differences.

    Args:
        quantized: The network.
        step: The layer.
        real: The same in the float network.
    """

    def __init__(self, quantized: Quantized, step: Step, real: Step) -> None:
        self.step, self.real = step, real
        self.inputs: tuple[Operand, ...] = step.inputs
        self._quantized = quantized
        self._network = Network(step.nodes, self.inputs, step.outputs)
        self._bits = quantized.widths
        self._clean = FloatNodes(real.nodes, step.outputs)
        self.weights = weights_index(step.node, quantized)
        chosen = self.weights_format
        self._chip = self._clean
        if chosen is not None:
            self._chip = self._with_weights(step, lambda array: self._rounded(array, chosen))
        self._exact = Exact(self._network, quantized.formats, self._bits, quantized.target, checked=True)
        self._known: dict[tuple[int, ...], tuple[tuple[Array, ...], dict[str, Array], dict[str, Array]]] = {}

    @property
    def weights_format(self) -> Format | None:
        """Of the constant weights; None where there are none."""
        if self.weights is None:
            return None
        name = self.step.node.input(self.weights).name
        return self._quantized.formats.at(self.step.node.name, self.weights, name)

    def arriving(self, value: str) -> Format | None:
        """In which format a value arrives; the coarsest where it is read several times."""
        found = [
            self._quantized.formats.at(node.name, index, value)
            for node in self.step.nodes
            for index, operand in enumerate(node.inputs)
            if operand is not None and operand.name == value
        ]
        return max((one for one in found if one is not None), key=lambda one: one.exponent, default=None)

    def leaving(self, value: str) -> Format | None:
        """In which format a result is stored."""
        return self._quantized.formats.values.get(value)

    def as_on_chip(self, values: Values) -> dict[str, Array]:
        """What the chip computes, as real numbers."""
        return dict(self._both(values)[1])

    def not_rounded_inside(self, values: Values) -> dict[str, Array]:
        """The float function of rounded inputs and weights, its result rounded."""
        return dict(self._both(values)[0])

    def unsaturated(self) -> Callable[[Values], dict[str, Array]]:
        """With accumulators that are wide enough."""
        wide = Exact(self._network, self._quantized.formats, self._bits, self._quantized.target, checked=False)
        return lambda values: self._real(wide.run(values), values)

    def changed(
        self,
        inputs: Mapping[str, Change] | None = None,
        outputs: Mapping[str, Change] | None = None,
        weights: Change | None = None,
        *,
        exact_weights: bool = False,
    ) -> Callable[[Values], dict[str, Array]]:
        """With other ways to round some tensors; what the arithmetic inside adds stays.

        Args:
            inputs: By value name.
            outputs: By value name.
            weights: From the float weights, before they were fitted to the data.
            exact_weights: The float network's own weights and bias.
        """
        run = self._clean if exact_weights else self._chip
        if weights is not None:
            run = self._with_weights(self.real, weights)

        def one(values: Values) -> dict[str, Array]:
            plain, chip = self._both(values)
            made = self._through(run, values, inputs or {}, outputs or {})
            return {name: _sum(array, chip[name], plain[name]) for name, array in made.items()}

        return one

    def _through(
        self, run: FloatNodes, values: Values, inputs: Mapping[str, Change], outputs: Mapping[str, Change]
    ) -> dict[str, Array]:
        arriving = dict(values)
        for operand in self.inputs:
            own = inputs.get(operand.name)
            arriving[operand.name] = self._arrives(operand, values) if own is None else own(values[operand.name])
        made = run(arriving)
        for name, array in made.items():
            own = outputs.get(name)
            made[name] = self._rounded(array, self.leaving(name)) if own is None else own(array)
        return made

    def _arrives(self, operand: Operand, values: Values) -> Array:
        home = self._rounded(values[operand.name], self._quantized.formats.values.get(operand.name))
        return self._rounded(home, self.arriving(operand.name))

    def _rounded(self, array: Array, chosen: Format | None) -> Array:
        return rounded(array, chosen, self._quantized.target)

    def _with_weights(self, step: Step, change: Change) -> FloatNodes:
        assert self.weights is not None
        node, index = step.node, self.weights
        operand = node.input(index)
        assert operand.const is not None
        inputs = list(node.inputs)
        inputs[index] = replace(operand, const=np.asarray(change(operand.const), np.float32))
        return FloatNodes(replace(step, node=replace(node, inputs=tuple(inputs))).nodes, step.outputs)

    def _both(self, values: Values) -> tuple[dict[str, Array], dict[str, Array]]:
        """The float function of rounded numbers, and the chip's result, of one sample; computed once."""
        given = tuple(values[operand.name] for operand in self.inputs)
        key = tuple(map(id, given))
        if key not in self._known:
            plain = self._through(self._chip, values, {}, {})
            self._known[key] = (given, plain, self._real(self._exact.run(values), values))
        return self._known[key][1:]

    def _real(self, found: Mapping[str, Array], values: Values) -> dict[str, Array]:
        formats = self._quantized.formats.values
        return {
            name: formats[name].dequantize(array) if array.dtype.kind == "i" and name in formats else array
            for name, array in found.items()
        }


def merged(network: Network, steps: Sequence[Step]) -> tuple[Network, dict[str, Step]]:
    """The float network with layers as single nodes, and its own form of each layer, by name."""
    nodes = {node.name: node for node in network.nodes}
    fused = {step.fused.name for step in steps if step.fused is not None}
    real = {
        step.node.name: Step(nodes[step.node.name], None if step.fused is None else nodes[step.fused.name])
        for step in steps
    }

    def every() -> Iterator[FloatNode]:
        for node in network.nodes:
            step = real.get(node.name)
            if node.name not in fused:
                yield node if step is None else step.whole

    return replace(network, nodes=tuple(every())), real


def _sum(array: Array, chip: Array, plain: Array) -> Array:
    """A changed result with what the chip's arithmetic adds to the plain one."""
    return np.asarray(array + (chip - plain)) if array.dtype.kind == "f" else chip
