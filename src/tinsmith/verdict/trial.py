"""What shows only in scales and layouts, found by quantizing for once with random input.

The formats of a trial are not those that calibration will choose, so numbers differ later; which rules a layout or a
shape breaks does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from tinsmith.algorithms.narrow import values_to_observe, widened
from tinsmith.algorithms.scales import beyond_int8, choose_formats
from tinsmith.calibrate.inputs import InputSpec, input_specs
from tinsmith.calibrate.observe import observe
from tinsmith.calibrate.stats import Stats
from tinsmith.errors import DataError, ModelError, ProgramError, QuantizationError, TinsmithError
from tinsmith.lower import lower
from tinsmith.ops.call import Array
from tinsmith.ops.floatnode import Network
from tinsmith.placement import Placement, without
from tinsmith.program import Program
from tinsmith.simulator.legality import broken_rules
from tinsmith.targets import Target
from tinsmith.verdict.sums import sums_note

_LABEL = "trial with random input"
_ROUNDS = 16
_RANGES = (None, (0.25, 1.0), (1.0, 2.0))


@dataclass(slots=True)
class Trial:
    """Findings.

    Attributes:
        network: What was tried: the network less the nodes that are refused.
        refused: Reasons by node name.
        problems: Reasons that name no node.
        notes: What is worth knowing.
    """

    network: Network
    refused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def try_out(
    model: ir.Model, network: Network, placement: Placement, target: Target, refused: Mapping[str, object]
) -> Trial:
    """Quantize and lower a network with formats for random input, and look which rules are broken.

    Args:
        model: The canonical model.
        network: The same as a plain network.
        placement: Decisions for all nodes but those refused.
        target: The chip.
        refused: Names of nodes to leave out.
    """
    trial = Trial(without(network, refused))
    bits = {name: decision.bits for name, decision in placement.items()}
    stats: Stats | None = None
    for _ in range(_ROUNDS):
        if not any(bits.get(node.name, 32) != 32 for node in trial.network.nodes):
            return trial
        values, widths = values_to_observe(trial.network, bits, target)
        if stats is None or not stats.keys() >= set(values):
            stats = _observed(trial, model, values, widths, target)
        if stats is None:
            return trial
        try:
            names = beyond_int8(trial.network, bits, stats, target)
            bits.update(dict.fromkeys(widened(trial.network, bits, target, names), 16))
            trial.notes += [
                f"trial with random input: {name!r} would run in int16: its inputs are large." for name in names
            ]
            formats = choose_formats(trial.network, bits, stats, target)
            program = lower(trial.network, formats, bits, target).program
            _look(trial, program, target)
            return trial
        except (QuantizationError, ProgramError) as error:
            name = next((node.name for node in trial.network.nodes if error.subject in (node.subject, node.name)), "")
            if not name:
                trial.problems.append(_said(str(error)))
                return trial
            _add(trial, name, f"{error.reason} {error.hint}".strip())
            trial.network = without(trial.network, {name})
    return trial


def _observed(
    trial: Trial, model: ir.Model, values: Sequence[str], widths: Sequence[int], target: Target
) -> Stats | None:
    failure: TinsmithError | None = None
    for sample in _samples(input_specs(model)):
        try:
            return observe(model, values, [sample], rounding=target.rounding, bits=widths)
        except DataError as error:
            failure = error
        except ModelError as error:
            trial.problems.append(str(error))
            return None
    if failure is not None and failure.__cause__ is not None:
        trial.problems.append(f"The float model does not run: {failure.reason}")
    else:
        trial.notes.append(f"no trial: the float model does not take random input: {failure}")
    return None


def _samples(specs: Sequence[InputSpec]) -> Iterator[dict[str, Array]]:
    """Random inputs: normal, and for models of logarithms and their like from narrower ranges; integers are 0."""
    for ends in _RANGES:
        rng = np.random.default_rng(0)
        sample = {}
        for spec in specs:
            numbers = rng.normal(size=spec.shape) if ends is None else rng.uniform(*ends, spec.shape)
            is_float = np.dtype(spec.dtype).kind == "f"
            sample[spec.name] = np.asarray(numbers if is_float else np.zeros(spec.shape)).astype(spec.dtype)
        yield sample


def _look(trial: Trial, program: Program, target: Target) -> None:
    for node, reason in broken_rules(program, target):
        name = _owner(node.name, trial.network)
        if name:
            _add(trial, name, reason)
        else:
            trial.problems.append(_said(f"{node.subject}: {reason}"))
    if not trial.refused and not trial.problems:
        trial.notes += sums_note(program, target)


def _owner(name: str, network: Network) -> str:
    """The node of the network that a node of the program was made for: it has its name, or one that starts with it."""
    names = {node.name for node in network.nodes}
    while name and name not in names:
        name = name[: max(name.rfind("."), name.rfind("_"), 0)]
    return name


def _add(trial: Trial, name: str, reason: str) -> None:
    trial.refused[name] = (*trial.refused.get(name, ()), _said(reason))


def _said(reason: str) -> str:
    return f"{reason} (Found in a trial with random input.)"
