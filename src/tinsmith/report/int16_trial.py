"""What some layers in int16 would bring, measured: the network lowered anew, and run exactly.

Weights that were fitted to the data stay as they are in all layers that stay in int8. Quantizing anew fits them to the
layers in int16 as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tinsmith.algorithms.judge import Judge
from tinsmith.algorithms.promote import and_those_of_both_widths
from tinsmith.algorithms.scales import choose_formats, observed_values
from tinsmith.algorithms.units import units
from tinsmith.calibrate.observe import observe
from tinsmith.errors import QuantizationError
from tinsmith.graph.network import network as network_of
from tinsmith.graph.network import with_constants
from tinsmith.ops.floatnode import Array, FloatNode, Network
from tinsmith.quant.format import Format, Formats
from tinsmith.report.channels import weights_index
from tinsmith.report.layer_error import reference

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized


class Int16Trial:
    """Tries what becomes of a quantized network with more layers in int16.

    Args:
        quantized: From `tinsmith.quantize`.
        samples: As the network takes them, `{input: array}`, at least one.

    Attributes:
        count: How many samples there are.
    """

    def __init__(self, quantized: Quantized, samples: Sequence[Mapping[str, Array]]) -> None:
        self.count = len(samples)
        self._quantized = quantized
        self._target = quantized.target
        self._bits = quantized.widths
        self._real = reference(quantized)
        self._units = units(quantized.network, self._bits, self._target)
        whole = network_of(quantized.model)
        self._judge = Judge(whole, self._target, samples)
        values, widths = observed_values(self._real, self._bits, self._target)
        values, widths = and_those_of_both_widths(self._real, self._bits, values, widths)
        model = quantized.model if self._real is whole else with_constants(quantized.model, whole, self._real)
        self._stats = observe(model, values, samples, rounding=self._target.rounding, bits=widths)

    @property
    def before(self) -> float:
        """Noise over signal at the outputs, the mean over outputs, of the network as it is."""
        return self._judge.noise(self._quantized.network, self._quantized.formats, self._bits)

    def noise(self, layers: Iterable[str]) -> float | None:
        """The same with these layers in int16, and all that goes along with them.

        Returns:
            None where there are no formats for that, or the chip would refuse it.
        """
        names = {name for name in layers if self._units.of[name] in self._units.free}
        bits = self._units.promoted(self._bits, names)
        wide = {name for name, width in bits.items() if width != self._bits[name]}
        real = {node.name: node for node in self._real.nodes}
        nodes = (real[node.name] if node.name in wide else node for node in self._quantized.network.nodes)
        network = replace(self._quantized.network, nodes=tuple(nodes))
        try:
            formats = self._formats(network, bits, wide)
        except QuantizationError:
            return None
        found = self._judge.noise(network, formats, bits)
        return found if found < float("inf") else None

    def _formats(self, network: Network, bits: Mapping[str, int], wide: set[str]) -> Formats:
        """Formats that leave alone what stays in int8, as far as the chip's rules allow."""
        now = self._quantized.formats
        plain = choose_formats(self._real, self._bits, self._stats, self._target)
        steps = {
            name: chosen.exponent - plain.values[name].exponent
            for name, chosen in now.values.items()
            if chosen.bits == 8 and name in plain.values
        }
        made = {output.name for node in network.nodes if node.name in wide for output in node.outputs}
        steps = {name: step for name, step in steps.items() if name not in made}
        found = choose_formats(network, bits, self._stats, self._target, steps=steps)
        kept = {
            (node.name, index): chosen
            for node in network.nodes
            if node.name not in wide
            for index, operand in enumerate(node.inputs)
            if operand is not None and (chosen := self._as_before(node, index, found)) is not None
        }
        return Formats(found.values, {**found.uses, **kept})

    def _as_before(self, node: FloatNode, index: int, found: Formats) -> Format | None:
        """The format in which an input of a node that stays in int8 arrived, where it is to do so again."""
        if index == weights_index(node, self._quantized):
            return self._quantized.formats.uses.get((node.name, index))
        name = node.input(index).name
        chosen, before = found.uses.get((node.name, index)), self._quantized.formats.at(node.name, index, name)
        narrowed = chosen is not None and before is not None and chosen.bits == before.bits == 8
        return before if narrowed else None
