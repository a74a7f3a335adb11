"""What addresses a cause: an option of the command line for each."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from tinsmith.algorithms.channels import Classes, classes
from tinsmith.algorithms.groups import group
from tinsmith.algorithms.units import Units, moves, units
from tinsmith.ops.floatnode import readers
from tinsmith.report.commands import PLACES, TUNED, Places, again, in_int16
from tinsmith.report.insight.schema import Action, CauseKind
from tinsmith.report.layer_error import reference
from tinsmith.report.whatif import Part, Variant
from tinsmith.units import share

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized

TUNING = "Fit weights to the data"
UNSEEN = 0.8
"""Share of a layer's noise that is cut off: of other samples than the calibration's, it has not seen such ones."""
LEAST = 0.25
"""Share of a layer's noise below which nothing is said of an effect."""

_EQUAL = "Channels are scaled so that they fill their format alike; the layers behind scale back."
_SHARED = "Channels are scaled so that what shares an exponent needs the same one."
_BIASES = "Biases are corrected and weights rounded so that each channel keeps its mean."
_ROUNDING = "Weights are rounded together, so that the errors of some make good for those of others."


class Remedies:
    """Finds out what addresses causes in a network.

    Args:
        quantized: The network.
        places: What commands call the files.
        calibrated: Whether the analysed samples are those that ranges were chosen for.
    """

    def __init__(self, quantized: Quantized, places: Places = PLACES, *, calibrated: bool = False) -> None:
        self._quantized = quantized
        self._calibrated = calibrated
        self._places = places
        self._bits = quantized.widths
        self._units: Units = units(quantized.network, self._bits, quantized.target)
        self._makers = {output.name: node for node in quantized.network.nodes for output in node.outputs}
        self._groups = group(quantized.network, self._bits, quantized.target)
        self._readers = readers(quantized.network)

    @property
    def untuned(self) -> bool:
        """Whether weights are as they were, and could be fitted to the data."""
        recipe = self._quantized.recipe
        return recipe.effort == "fast" and recipe.algorithms is None

    def action(self, kind: CauseKind, variant: Variant, gain: float) -> Action:
        """What addresses a cause.

        Args:
            kind: The cause.
            variant: The layer without it.
            gain: Share of the layer's noise that goes away with the cause.
        """
        layer, part, tensor = variant.layer, variant.part, variant.tensor
        names = self.wide(layer, part, tensor)
        effect = f"takes {share(gain)} of the layer's noise away, estimated" if gain >= LEAST else ""
        why = self._by_tuning(kind, part, tensor)
        if why and self.untuned:
            return Action(TUNING, why, self._again(TUNED), effect, names or (layer,))
        if variant.mechanism == "clipping":
            method = self._quantized.recipe.calibration
            if method not in ("mse", "minmax"):
                why = f"{method!r} does not weigh what is cut off against what is rounded."
                command = self._again(("--calibration", "mse"))
                return Action("Choose ranges by least error", why, command, "", names or (layer,))
            if gain >= UNSEEN and not self._calibrated:
                why = "Calibration has not seen numbers as large as these."
                return Action("Calibrate with samples like these", why, self._again(()), "", names or (layer,))
        return self.int16(names, effect) if names else self._elsewhere(layer)

    def _by_tuning(self, kind: CauseKind, part: Part, tensor: str) -> str:
        """How fitting weights to the data addresses a cause; empty where it does not."""
        if kind == "mean shift":
            return _BIASES
        if kind == "shared exponent":
            return _SHARED if self._apart(tensor) else ""
        if kind == "channel imbalance" and (self._scales(tensor) if part != "weights" else True):
            return _EQUAL
        return _ROUNDING if part == "weights" and kind == "too coarse" else ""

    @cached_property
    def _classes(self) -> Classes:
        return classes(reference(self._quantized))

    def _scales(self, value: str) -> bool:
        """Whether most channels of a value can be scaled: no output, nothing that a curved function makes or reads."""
        labels = self._classes.of[value]
        return float(np.count_nonzero(labels)) > labels.size / 2

    def _apart(self, value: str) -> bool:
        """Whether what shares a value's exponent can be scaled by other factors than the value itself."""
        index = self._groups.of.get(value)
        tied = () if index is None else self._groups.measured[index]
        labels = [set(np.unique(self._classes.of[name]).tolist()) for name in tied]
        apart = any(one.isdisjoint(other) for one, other in combinations(labels, 2))
        return apart and self._scales(value)

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
        """Of some layers those that can run in int16 and do not yet, each once; none whose width the user chose."""
        free = (name for name in names if self._units.of[name] in self._units.free)
        return tuple(dict.fromkeys(name for name in free if not self._quantized.placement[name].chosen))

    def _elsewhere(self, layer: str) -> Action:
        """Where the layer itself stays as it is."""
        recipe = self._quantized.recipe
        if recipe.bits == 16 or recipe.int16_budget is not None:
            return Action("Change the layer", "No option makes it finer: its weights or its inputs must change.")
        why = "It cannot run in int16; others can, and leave it more room."
        return Action("Let others run in int16", why, self._again(("--int16-budget", "10%")), "", (layer,))

    def _again(self, options: Iterable[str]) -> str:
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
