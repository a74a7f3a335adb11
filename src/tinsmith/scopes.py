"""Which layers a user means, and what is chosen for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinsmith.algorithms.layer_names import meant
from tinsmith.calibrate.exponents import GIVEN, Way
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network, readers
from tinsmith.ops.steps import activations_after_linear
from tinsmith.quant.format import Formats
from tinsmith.recipe.parts import Scope


@dataclass(frozen=True, slots=True)
class Choice:
    """A width that was chosen for a node.

    Attributes:
        bits: 8 or 16.
        reason: By which pattern, for reports.
        rank: Later choices have higher ones.
    """

    bits: int
    reason: str
    rank: int


def named(network: Network, patterns: Sequence[str], subject: str) -> dict[str, str]:
    """The nodes that patterns choose.

    Args:
        network: The canonical float network.
        patterns: Names of nodes, of nodes of the user's graph, or of modules: one that is a name means what goes by
            exactly that. Others are regular expressions, looked for anywhere in the names of nodes, in those of the
            user's graph that they do the work of, and in those they stand for.
        subject: The option, for messages.

    Returns:
        By node name: the last pattern that chooses it.

    Raises:
        RecipeError: A pattern is no regular expression or matches no node.
    """
    known: dict[str, list[FloatNode]] = {}
    for node in network.nodes:
        parts = (*node.body, node)
        for name in dict.fromkeys(name for part in parts for name in (part.name, *part.sources)):
            known.setdefault(name, []).append(node)
    reading = readers(network)
    found: dict[str, str] = {}
    for pattern in patterns:
        for name in meant(pattern, known, "node", subject):
            found.update((worker, pattern) for worker in _workers(name, known[name], reading))
    return found


def layers(network: Network, patterns: Sequence[str], subject: str) -> dict[str, str]:
    """As `named`, where a node and the activation fused into it go together, whichever is matched."""
    found = named(network, patterns, subject)
    for name, activation in activations_after_linear(network).items():
        for one, other in ((name, activation.name), (activation.name, name)):
            if one in found:
                found.setdefault(other, found[one])
    return found


def widths(network: Network, int16: Sequence[str], scopes: Sequence[Scope]) -> dict[str, Choice]:
    """The widths that are chosen, by node name.

    Args:
        network: The canonical float network.
        int16: Regular expressions of layers in int16.
        scopes: Choices that come after these, in order.

    Raises:
        RecipeError: A pattern is no regular expression or matches no node.
    """
    found = {name: Choice(16, f"chosen by {by!r}", 0) for name, by in named(network, int16, "int16").items()}
    for number, scope in enumerate(scopes, 1):
        bits = scope.bits
        for name, by in named(network, scope.layers, f"scope {number}").items():
            if bits is not None:
                found[name] = Choice(bits, f"chosen by {by!r} of scope {number}", number)
    for name, activation in activations_after_linear(network).items():
        both = [found[one] for one in (name, activation.name) if one in found]
        if both:
            found[name] = max(both, key=lambda choice: choice.rank)
    return found


def ways(network: Network, scopes: Sequence[Scope], calibration: str, percentile: float) -> dict[str, Way]:
    """How the exponents of values are chosen that some scope speaks of.

    Args:
        network: The canonical float network.
        scopes: Choices for some layers: of the values that these compute, the activation fused into one included.
        calibration: The method where no scope says one.
        percentile: Likewise.

    Returns:
        By value name, those of later scopes last: where values share an exponent, the last one's way decides.
    """
    nodes = {node.name: node for node in network.nodes}
    found: dict[str, Way] = {}
    for number, scope in enumerate(scopes, 1):
        if scope.calibration is None and scope.percentile is None and scope.exponent is None:
            continue
        for name in layers(network, scope.layers, f"scope {number}"):
            for output in nodes[name].outputs:
                before = found.pop(output.name, (calibration, percentile))
                before = before if before[0] != GIVEN else (calibration, percentile)
                chosen = (scope.calibration or before[0], scope.percentile or before[1])
                found[output.name] = chosen if scope.exponent is None else (GIVEN, scope.exponent)
    return found


def not_as_given(network: Network, scopes: Sequence[Scope], formats: Formats) -> tuple[str, ...]:
    """A line for each value whose exponent was set by hand, and is larger since the chip's rules ask for it."""
    given = ways(network, scopes, "", 0.0)
    return tuple(
        f"{name!r} has exponent {formats.values[name].exponent}, not {int(exponent)}: the chip's rules ask for it."
        for name, (method, exponent) in given.items()
        if method == GIVEN and name in formats.values and formats.values[name].exponent != exponent
    )


def left_alone(network: Network, scopes: Sequence[Scope]) -> frozenset[str]:
    """Names of the nodes whose weights and biases nothing may change: by the last scope that says so or not."""
    found: dict[str, bool] = {}
    for number, scope in enumerate(scopes, 1):
        if scope.tune is not None:
            found.update(dict.fromkeys(layers(network, scope.layers, f"scope {number}"), scope.tune))
    return frozenset(name for name, tuned in found.items() if not tuned)


def _workers(name: str, nodes: Sequence[FloatNode], reading: Mapping[str, Sequence[FloatNode]]) -> set[str]:
    """Of the nodes that go by a name: those that compute, and movers that bear it or only serve those.

    A rewrite may leave a node of the user's as several, with movers between them that serve other nodes, too.
    """
    chosen = {node.name for node in nodes if node.name == name or not _passive(node)}
    chosen = chosen or {node.name for node in nodes}
    for node in reversed(nodes):
        behind = [reader.name for output in node.outputs for reader in reading.get(output.name, ())]
        if behind and chosen.issuperset(behind):
            chosen.add(node.name)
    return chosen


def _passive(node: FloatNode) -> bool:
    operator = operators().get(node.op_type)
    return operator is not None and operator.passive
