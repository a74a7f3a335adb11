"""What the algorithms that change weights work on: a draft of the quantized network, and what there is to work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import onnx_ir as ir

from tinsmith.algorithms.classic_equalization import ClassicOptions
from tinsmith.algorithms.promote import and_those_of_both_widths
from tinsmith.algorithms.scales import observed_values
from tinsmith.algorithms.walk import Samples
from tinsmith.calibrate.observe import observe
from tinsmith.calibrate.stats import Stats
from tinsmith.graph.network import with_constants
from tinsmith.ops.floatnode import Network, Operand
from tinsmith.quant.format import Formats
from tinsmith.targets import Target

Choose = Callable[[Network, Mapping[str, int], Stats, Mapping[str, int]], Formats]
"""Formats for a network, its widths by node, observations of it, and steps by value: how much coarser its exponent is
than observations favour."""
Progress = Callable[[str, int, int | None], None]

JUDGING = 4
"""One sample in so many is kept from everything but the judge."""


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A way to quantize a network.

    Attributes:
        name: What was done, in words.
        network: With the weights it needs.
        formats: Chosen for it.
        stats: What they were chosen from.
        unrounded: The network before its weights were rounded.
        steps: By value: how much coarser its exponent is than observations favour.
        fitted: The algorithm that fitted weights or biases to samples last; empty where none did.
    """

    name: str
    network: Network
    formats: Formats
    stats: Stats
    unrounded: Network
    steps: Mapping[str, int] = field(default_factory=dict)
    fitted: str = ""

    def separated(self) -> Draft:
        """Where algorithms begin: nothing done so far, and for every float input a constant of its own."""
        own = separated(self.unrounded)
        return replace(self, name="", network=own, unrounded=own)

    def then(self, did: str, **changes: object) -> Draft:
        """This draft with something done to it."""
        name = f"{self.name}, {did}" if self.name else did
        return replace(self, name=name, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class Workshop:
    """What algorithms have to work with; the same for all drafts of a network.

    Attributes:
        model: The canonical float model.
        network: Its nodes.
        bits: Width of each node by name.
        target: The chip.
        samples: Calibration samples, all of them.
        choose: Chooses formats.
        histograms: Whether `choose` needs them.
        kept: Nodes whose weights and biases stay as they are.
        walked: So many samples fit into memory on the walk.
        promoting: Whether layers may go to int16 later on: any value may then be read in two widths.
        classic: Options of `classic_equalize`.
        progress: Told the stage, steps done and in all.
    """

    model: ir.Model
    network: Network
    bits: Mapping[str, int]
    target: Target
    samples: Samples
    choose: Choose
    histograms: bool = False
    kept: frozenset[str] = frozenset()
    walked: int = 32
    promoting: bool = False
    classic: ClassicOptions = field(default_factory=ClassicOptions)
    progress: Progress = lambda stage, done, total: None

    @property
    def learned(self) -> Samples:
        """The samples that weights may be fitted to."""
        return [sample for index, sample in enumerate(self.samples) if index % JUDGING != JUDGING - 1]

    @property
    def judging(self) -> Samples:
        """The others."""
        return self.samples[JUDGING - 1 :: JUDGING]

    def model_of(self, network: Network) -> ir.Model:
        """The float model with the weights of another version of the network."""
        return self.model if network is self.network else with_constants(self.model, self.network, network)

    def reformatted(self, draft: Draft, did: str, network: Network) -> Draft:
        """The draft with other weights, and formats chosen anew for what they make of the values.

        Raises:
            QuantizationError: There are none.
        """
        values, widths = observed_values(network, self.bits, self.target)
        if self.promoting:
            values, widths = and_those_of_both_widths(network, self.bits, values, widths)
        model = self.model_of(network)
        stats = observe(
            model, values, self.samples, rounding=self.target.rounding, bits=widths, histograms=self.histograms
        )
        formats = self.choose(network, self.bits, stats, draft.steps)
        return draft.then(did, network=network, unrounded=network, formats=formats, stats=stats, fitted="")


def separated(network: Network) -> Network:
    """The network with a constant of its own for every float input, where several nodes shared one."""
    taken: set[str] = set()
    nodes = []
    for node in network.nodes:
        inputs = list(node.inputs)
        for index, operand in enumerate(inputs):
            if operand is None or operand.const is None or operand.dtype.kind != "f":
                continue
            if operand.name in taken:
                inputs[index] = Operand(f"{operand.name}|{node.name}", operand.shape, operand.dtype, operand.const)
            taken.add(operand.name)
        same = all(new is old for new, old in zip(inputs, node.inputs, strict=True))
        nodes.append(node if same else replace(node, inputs=tuple(inputs)))
    return replace(network, nodes=tuple(nodes))
