"""From plain formats to the best that equalization and rounding for the data find; what the chip computes decides."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from tinsmith.algorithms.equalize import equalize
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.rounding import round_weights
from tinsmith.algorithms.scales import observed_values
from tinsmith.algorithms.walk import Exact, Samples, walk
from tinsmith.calibrate.observe import observe
from tinsmith.calibrate.stats import Stats
from tinsmith.errors import QuantizationError
from tinsmith.graph.network import with_constants
from tinsmith.ops.floatnode import Array, Network, Operand
from tinsmith.quant.format import Formats
from tinsmith.simulator.legality import violations
from tinsmith.targets import Target

Choose = Callable[[Network, Stats], Formats]
Progress = Callable[[str, int, int | None], None]

LEAST_SAMPLES = 8
"""With fewer, nobody could tell a gain from luck."""
MOST_SAMPLES = 32
"""The walk and the judge take so many at most."""
MOST_OBSERVED = 64
"""So many are worth keeping in memory for the formats of a changed network."""
JUDGING = 4
"""One sample in so many is kept from everything but the judge."""
WORTHWHILE = 0.93
"""A tuned candidate must leave less than this share of the plain one's noise: 0.3 dB may be luck."""
_MEMORY = 700_000_000
"""Bytes of values the walk may keep alive, roughly."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A way to quantize a network.

    Attributes:
        name: What was done.
        network: With the weights it needs.
        formats: Chosen for it.
    """

    name: str
    network: Network
    formats: Formats


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """The best candidate, and how all of them did.

    Attributes:
        best: The candidate.
        noise: By candidate's name: squared error over squared signal at the outputs, as the chip computes them, on the
            judge's samples; the mean over outputs. Empty where nothing was tried.
    """

    best: Candidate
    noise: Mapping[str, float]


def tune(
    model: ir.Model,
    network: Network,
    formats: Formats,
    bits: Mapping[str, int],
    target: Target,
    observed: Samples,
    choose: Choose,
    *,
    scalable: bool = True,
    histograms: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> Tuned:
    """Equalize, round for the data, and keep the result if the chip's outputs are closer to the float network's.

    One sample in four is not seen by the walk, and judges: what weights were not fitted to tells whether a gain is
    real. Ranges, of plain and of equalized networks, are those of all samples.

    Args:
        model: The canonical float model.
        network: Its nodes.
        formats: The plain formats.
        bits: Width of each node by name.
        target: The chip.
        observed: Calibration samples; with fewer than `LEAST_SAMPLES` nothing is tuned.
        choose: Chooses formats for a network from observations of it.
        scalable: Whether channels may be scaled; not where the formats follow ranges the model brings.
        histograms: Whether `choose` needs them.
        progress: Told the stage, steps done and in all.
    """
    plain = Candidate("plain", network, formats)
    if len(observed) < LEAST_SAMPLES or not any(operand.dtype.kind == "f" for operand in network.outputs):
        return Tuned(plain, {})
    most = sample_count(network)
    learned = [sample for index, sample in enumerate(observed) if index % JUDGING != JUDGING - 1]
    judge = _Judge(network, bits, target, observed[JUDGING - 1 :: JUDGING][:most])
    noise = {"plain": judge.noise(plain)}
    separate = separated(network)
    candidates = [plain]

    def add(candidate: Candidate) -> None:
        candidates.append(_rounded(candidate, bits, target, learned[:most], progress))
        noise[candidates[-1].name] = judge.noise(candidates[-1])

    if scalable:
        progress("equalize", 0, None)
        scaled = equalize(model, separate, bits, target, observed).network
        values, widths = observed_values(scaled, bits, target)
        changed = with_constants(model, network, scaled)
        stats = observe(changed, values, observed, rounding=target.rounding, bits=widths, histograms=histograms)
        # Factors are chosen without the chip's rules in mind: there may be no formats for them.
        with contextlib.suppress(QuantizationError):
            add(Candidate("equalized", scaled, choose(scaled, stats)))
    if noise[candidates[-1].name] >= noise["plain"]:
        add(Candidate("plain", separate, formats))
    best = min(candidates, key=lambda candidate: noise[candidate.name])
    return Tuned(best if noise[best.name] <= WORTHWHILE * noise["plain"] else plain, noise)


def sample_count(network: Network) -> int:
    """How many samples the walk can keep in memory, at most `MOST_SAMPLES`."""
    sizes = [int(np.prod(output.shape)) for node in network.nodes for output in node.outputs]
    return int(np.clip(_MEMORY // (6 * 4 * max([*sizes, 1])), 2, MOST_SAMPLES))


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


def _rounded(
    candidate: Candidate,
    bits: Mapping[str, int],
    target: Target,
    samples: Samples,
    progress: Progress,
) -> Candidate:
    walked = walk(
        candidate.network,
        candidate.formats,
        bits,
        target,
        samples,
        round_weights,
        lambda done, total: progress("round weights", done, total),
    )
    return Candidate(f"{candidate.name}, rounded for the data", walked.network, walked.formats)


class _Judge:
    """Compares what the chip computes with the float network, on the same samples every time."""

    def __init__(self, network: Network, bits: Mapping[str, int], target: Target, samples: Samples) -> None:
        self.bits = bits
        self.target = target
        self.samples = samples
        self.outputs = [operand for operand in network.outputs if operand.dtype.kind == "f"]
        run = FloatNodes(network.nodes, self.outputs)
        self.wanted: Sequence[Mapping[str, Array]] = [run(sample) for sample in samples]

    def noise(self, candidate: Candidate) -> float:
        """Infinite where the chip would refuse it."""
        exact = Exact(candidate.network, candidate.formats, self.bits, self.target, checked=True)
        if violations(exact.program, self.target):
            return float("inf")
        found = [exact.run(sample) for sample in self.samples]
        return float(np.mean([self._of(operand, found, candidate.formats) for operand in self.outputs] or [0.0]))

    def _of(self, operand: Operand, found: Sequence[Mapping[str, Array]], formats: Formats) -> float:
        error = signal = 0.0
        chosen = formats.values.get(operand.name)
        for result, wanted in zip(found, self.wanted, strict=True):
            array, truth = result[operand.name], wanted[operand.name].astype(np.float64)
            real = chosen.dequantize(array) if chosen is not None and array.dtype.kind == "i" else array
            error += float(np.square(real - truth).sum())
            signal += float(np.square(truth).sum())
        return error / max(signal, 1e-30)
