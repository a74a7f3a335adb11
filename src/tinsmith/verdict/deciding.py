"""`check`: will this model run on that chip, and if not, why?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

import onnx_ir as ir

from tinsmith import importers
from tinsmith.errors import RecipeError
from tinsmith.graph.functions import small_tables, without_functions
from tinsmith.graph.head import AUTO, head_notes, suggest_outputs
from tinsmith.graph.network import network as network_of
from tinsmith.graph.provenance import Origin
from tinsmith.importers.hints import Hints
from tinsmith.importers.notes import notes
from tinsmith.ops.floatnode import FloatNode, Network
from tinsmith.ops.steps import activations_after_linear, upper_bound
from tinsmith.placement import Decision, Placement, forced, place_rest, refusals
from tinsmith.targets import Target, caveat, find
from tinsmith.verdict.opening import Opened, open_model
from tinsmith.verdict.result import Outcome, Row, Verdict
from tinsmith.verdict.trial import try_out

_NOT_LOOKED_AT = "It could not be looked at: it depends on {!r}, which is refused."


def check(
    model: Any,
    target: str | Target = "esp32s3",
    *,
    bits: int = 8,
    int16: Sequence[str] | str = (),
    esp_dl: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | str | None = None,
    example_input: Any = None,
) -> Verdict:
    """Say whether a model will run on a chip, before any calibration data are collected.

    All reasons are collected. What shows only in scales and layouts is found by quantizing for once with random input.

    Args:
        model: What `tinsmith.importers.load` takes: the path of a file, or a model in memory. Never modified.
        target: The chip.
        bits: 8 or 16.
        int16: Regular expressions of layer names that run in int16.
        esp_dl: The firmware's version of ESP-DL, such as ``3.3.9``; by default the target's.
        input_shapes: Shapes of inputs with open dimensions.
        outputs: Cut the model at these values; ``auto`` before the heads of detectors.
        example_input: What a PyTorch model is called with, where ``input_shapes`` do not say it: see
            `tinsmith.quantize`.

    Returns:
        The verdict: `.deployable`, `.rows`, `.notes`.

    Raises:
        ModelError: The file cannot be read, or input shapes and outputs do not fit the model. A model that merely
            cannot deploy is no error.
        RecipeError: An option is unknown or contradictory.
    """
    chip = find(target, esp_dl)
    patterns = (int16,) if isinstance(int16, str) else tuple(int16)
    ends = (outputs,) if isinstance(outputs, str) else outputs
    source = importers.load(model, Hints(example_input, input_shapes or {}))
    label = str(model) if isinstance(model, (str, Path)) else source.graph.name or "the model"

    def decide(where: Sequence[str] | None) -> Verdict:
        return _decide(label, open_model(source, input_shapes, where), chip, bits, patterns)

    verdict = decide(ends)
    verdict = replace(verdict, notes=(*notes(source), *verdict.notes))
    if ends:
        return verdict
    heads = _cut_notes(source, decide) if not verdict.deployable else head_notes(source)
    return replace(verdict, notes=(*heads, *verdict.notes))


def _decide(label: str, opened: Opened, chip: Target, bits: int, patterns: Sequence[str]) -> Verdict:
    if opened.model is None:
        return _verdict(label, chip, opened, _Findings(), ())
    network = network_of(opened.model)
    refused = refusals(network, chip)
    placement = place_rest(network, chip, refused, bits=bits, int16=patterns)
    small = small_tables(network, {name: decision.bits for name, decision in placement.items()}, chip)
    if small:
        network = without_functions(network, small)
        placement = place_rest(network, chip, refused, bits=bits, int16=patterns)
    trial = try_out(opened.model, network, placement, chip, refused)
    reasons = {**refused, **{name: (*refused.get(name, ()), *found) for name, found in trial.refused.items()}}
    nodes = {node.name: node for node in network.nodes}
    findings = _Findings(nodes, placement, reasons, _activations(network), tuple(trial.problems))
    warning = caveat(chip)
    cautions = () if warning is None else (warning,)
    return _verdict(label, chip, opened, findings, (*forced(placement), *trial.notes, *cautions))


def _cut_notes(source: ir.Model, decide: Callable[[Sequence[str] | None], Verdict]) -> tuple[str, ...]:
    """Whether a model that does not deploy does without the heads of a detector; nothing where it has none."""
    names = suggest_outputs(source)
    if not names:
        return ()
    try:
        rest = decide(names)
    except RecipeError:  # a pattern for nodes of the head alone
        return head_notes(source)
    left = len(rest.refused) + len(rest.problems)
    result = "it deploys" if rest.deployable else f"{left} of the refusals remain{'s' * (left == 1)}"
    return (
        f"the model ends with arithmetic without weights; outputs = {AUTO!r} (--outputs {AUTO}) leaves it to the "
        f"application: then {result}. It ends at {', '.join(names)}.",
    )


@dataclass(frozen=True, slots=True)
class _Findings:
    """What is known about the nodes of the canonical network.

    Attributes:
        nodes: The nodes by name.
        placement: Decisions for those that are not refused by their constraints.
        reasons: Why nodes are refused, by name.
        inside: Nodes that have an activation within them, by the activation's name.
        problems: Reasons that name no node.
    """

    nodes: Mapping[str, FloatNode] = field(default_factory=dict)
    placement: Placement = field(default_factory=dict)
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inside: Mapping[str, FloatNode] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def _verdict(label: str, target: Target, opened: Opened, findings: _Findings, notes: tuple[str, ...]) -> Verdict:
    homes = {part.name: node.name for node in findings.nodes.values() for part in node.body}
    known = {origin.node: _merged(origin, homes) for origin in opened.origins}
    blamed, general = _blamed(known, findings)
    rows = []
    for name, operator in opened.nodes:
        if name in opened.refused:
            rows.append(Row(name, operator, "refused", reasons=opened.refused[name]))
        elif name in opened.hidden:
            rows.append(Row(name, operator, "unknown", why=_NOT_LOOKED_AT.format(opened.hidden[name])))
        else:
            rows.append(_row(known[name], findings, blamed.get(name, ())))
    problems = (*opened.problems, *general, *findings.problems)
    return Verdict(label, target.name, str(target.esp_dl), tuple(rows), problems, notes)


def _merged(origin: Origin, homes: Mapping[str, str]) -> Origin:
    """The origin where several nodes of the canonical form are one node of the network."""
    into = tuple(dict.fromkeys(homes.get(name, name) for name in origin.into))
    if not any(name in homes for name in origin.into):
        return origin
    return replace(origin, kind="rewritten" if origin.node in into else "absorbed", into=into)


def _row(origin: Origin, findings: _Findings, reasons: tuple[str, ...]) -> Row:
    change = _change(origin, findings.nodes, findings.inside)
    if origin.kind in ("constant", "removed"):
        outcome: Outcome = "constant" if origin.kind == "constant" else "removed"
        return Row(origin.node, origin.op_type, outcome, change)
    main = origin.node if origin.node in origin.into else origin.into[0]
    if reasons or main in findings.reasons:
        return Row(origin.node, origin.op_type, "refused", change, origin.into, reasons=reasons)
    decision = findings.placement[main]
    return Row(origin.node, origin.op_type, decision.precision, change, origin.into, _why(decision))


def _why(decision: Decision) -> str:
    return decision.reason if decision.forced or decision.reason.startswith("chosen") else ""


def _change(origin: Origin, nodes: Mapping[str, FloatNode], inside: Mapping[str, FloatNode]) -> str:
    if origin.kind == "constant":
        return "computed beforehand"
    if origin.kind == "removed":
        return "not needed"
    if origin.kind == "absorbed":
        return f"part of {_label(nodes[origin.into[0]])} {origin.into[0]!r}"
    if origin.kind == "kept":
        return f"part of {inside[origin.into[0]].subject}" if origin.into[0] in inside else ""
    kinds = Counter(_label(nodes[name]) for name in origin.into)
    return "becomes " + " + ".join(f"{count} {kind}" if count > 1 else kind for kind, count in kinds.items())


def _label(node: FloatNode) -> str:
    return f"a table of {len(node.body)} nodes" if node.body else node.op_type


def _blamed(known: Mapping[str, Origin], findings: _Findings) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Whose the reasons are, by node of the user's graph, and those that belong to none."""
    found: dict[str, tuple[str, ...]] = {}
    general: list[str] = []
    for name, why in findings.reasons.items():
        users = [name] if name in known else [user for user, origin in known.items() if name in origin.into]
        for user in users:
            found[user] = tuple(dict.fromkeys((*found.get(user, ()), *why)))
        if not users:
            general += [f"{findings.nodes[name].subject}: {reason}" for reason in why]
    return found, tuple(general)


def _activations(network: Network) -> dict[str, FloatNode]:
    """Activations that the chip always computes inside the node before them, by name."""
    nodes = {node.name: node for node in network.nodes}
    found = activations_after_linear(network)
    return {reader.name: nodes[name] for name, reader in found.items() if upper_bound(reader) == inf}
