"""What addresses a cause: an option of the command line for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tinsmith.algorithms.units import Units, moves, units
from tinsmith.ops.floatnode import readers
from tinsmith.report.commands import PLACES, Places, again, in_int16, tuned
from tinsmith.report.insight.schema import Action, CauseKind
from tinsmith.report.whatif import Part

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

_BY_TUNING: Mapping[CauseKind, str] = {
    "channel imbalance": "Channels are scaled so that they fill their format alike; the layers behind scale back.",
    "shared exponent": "Channels are scaled so that what shares an exponent needs the same one.",
    "mean shift": "Biases are corrected and weights rounded so that each channel keeps its mean.",
}


class Remedies:
    """Finds out what addresses causes in a network.

    Args:
        quantized: The network.
        places: What commands call the files.
    """

    def __init__(self, quantized: Quantized, places: Places = PLACES) -> None:
        self._quantized = quantized
        self._places = places
        self._bits = {name: decision.bits for name, decision in quantized.placement.items()}
        self._units: Units = units(quantized.network, self._bits, quantized.target)
        self._makers = {output.name: node for node in quantized.network.nodes for output in node.outputs}
        self._readers = readers(quantized.network)

    @property
    def untuned(self) -> bool:
        """Whether weights are as they were, and could be fitted to the data."""
        recipe = self._quantized.recipe
        return recipe.effort == "fast" and recipe.algorithms is None

    def action(self, kind: CauseKind, layer: str, part: Part, tensor: str, gain: float) -> Action:
        """What addresses a cause.

        Args:
            kind: The cause.
            layer: Where the noise is made.
            part: Where in the layer.
            tensor: Name of the tensor concerned; empty where it is none.
            gain: Share of the layer's noise that goes away with the cause.
        """
        names = self.wide(layer, part, tensor)
        if kind in _BY_TUNING and self.untuned:
            effect = f"up to {gain:.0%} of its noise, estimated"
            command = self._again(tuned(self._quantized))
            return Action("Fit weights to the data", _BY_TUNING[kind], command, effect, names or (layer,))
        if kind == "outliers" and self._quantized.recipe.calibration != "mse":
            why = f"{self._quantized.recipe.calibration!r} ranges do not weigh what is cut off against what is rounded."
            return Action(
                "Choose ranges by least error", why, self._again(["--calibration", "mse"]), "", names or (layer,)
            )
        return self.int16(names, f"{gain:.0%} of its noise, estimated") if names else self._budget(layer)

    def int16(self, names: Iterable[str], effect: str) -> Action:
        """Layers to int16."""
        layers = tuple(names)
        title = f"Run {layers[0]!r} in int16" if len(layers) == 1 else f"Run {len(layers)} layers in int16"
        why = "16 bits hold small and large numbers alike."
        if len(layers) > 1:
            why += " A tensor has them only if the layer that computes it and those that read it all run in int16."
        return Action(title, why, self._again(in_int16(self._quantized, layers)), effect, layers)

    def wide(self, layer: str, part: Part, tensor: str) -> tuple[str, ...]:
        """The layers that must run in int16 for a tensor to have 16 bits; those that can, and do not yet."""
        names = [layer]
        if part == "input":
            names = [*self._made_by(tensor), layer]
        elif part == "output":
            names = [layer, *self._read_by(tensor)]
        return self.able(names)

    def able(self, names: Iterable[str]) -> tuple[str, ...]:
        """Of some layers those that can run in int16 and do not yet, each once."""
        return tuple(dict.fromkeys(name for name in names if self._units.of[name] in self._units.free))

    def _budget(self, layer: str) -> Action:
        why = "The layer itself cannot run in int16; others can, and leave it more room."
        return Action("Spend more work in int16", why, self._again(["--int16-budget", "10%"]), "", (layer,))

    def _again(self, options: list[str]) -> str:
        return again(options, self._places)

    def _made_by(self, value: str) -> list[str]:
        """Who computes a value, past nodes that move it."""
        node = self._makers.get(value)
        while node is not None and moves(node):
            value = next(i.name for i in node.inputs if i is not None and i.const is None)
            node = self._makers.get(value)
        return [] if node is None else [self._units.of[node.name]]

    def _read_by(self, value: str) -> list[str]:
        """Who computes with a value, past nodes that move it."""
        found: list[str] = []
        for node in self._readers.get(value, ()):
            if moves(node):
                found += [name for output in node.outputs for name in self._read_by(output.name)]
            else:
                found.append(self._units.of[node.name])
        return found
