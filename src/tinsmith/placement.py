"""Which precision each node runs in, decided before any calibration, with the reason."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from tinsmith.errors import RecipeError, UnsupportedError
from tinsmith.ops import absent, operators
from tinsmith.ops.base import Operator, Precision
from tinsmith.ops.floatnode import FloatNode, Network, readers
from tinsmith.ops.ports import Kind
from tinsmith.ops.steps import activations_after_linear
from tinsmith.recipe.parts import Scope
from tinsmith.scopes import Choice, widths
from tinsmith.targets import Target, lacking

BITS: dict[Precision, int] = {"int8": 8, "int16": 16, "float32": 32}


@dataclass(frozen=True, slots=True)
class Decision:
    """A node's precision and why.

    Attributes:
        precision: What it runs in.
        reason: Why, for reports.
        forced: Whether the runtime lacks the precision it would have had.
        chosen: Whether the user named the node and its width: nothing but what the runtime lacks may change it.
    """

    precision: Precision
    reason: str
    forced: bool = False
    chosen: bool = False

    @property
    def bits(self) -> int:
        """Width of its activations: 8, 16, or 32 for float."""
        return BITS[self.precision]


Placement = Mapping[str, Decision]


def place(
    network: Network, target: Target, *, bits: int = 8, int16: Sequence[str] = (), scopes: Sequence[Scope] = ()
) -> dict[str, Decision]:
    """Decide every node's precision.

    Args:
        network: The canonical float network.
        target: The chip.
        bits: 8 or 16, for nodes nothing else is said about.
        int16: Regular expressions; nodes whose name one matches (anywhere in it) run in int16, and so does all that
            a node of the user's graph of such a name became. A node and the activation fused into it go together,
            whichever is matched.
        scopes: Widths for some layers, after ``int16`` and in order: the last one that says something wins.

    Returns:
        A decision for each node, by name.

    Raises:
        UnsupportedError: Nodes that the runtime lacks or would compute wrongly; all of them, with reasons.
        RecipeError: A pattern is no regular expression or matches no node; `bits` is neither 8 nor 16.
    """
    chosen = _choices(network, bits, int16, scopes)
    problems = refusals(network, target)
    if problems:
        count = f"{len(problems)} nodes" if len(problems) > 1 else "one node"
        lines = [f"{node.subject}: {reason}" for node in network.nodes for reason in problems.get(node.name, ())]
        raise UnsupportedError("\n  ".join([f"{count} cannot run on {target.name}:", *lines]), subject="model")
    return _decisions(network, target, bits, chosen)


def refusals(network: Network, target: Target) -> dict[str, tuple[str, ...]]:
    """The nodes that the runtime lacks or would compute wrongly, by name, each with its reasons."""
    found: dict[str, tuple[str, ...]] = {}
    for node in network.nodes:
        operator = operators().get(node.op_type)
        if operator is None or not operator.importable:
            found[node.name] = (absent.reason(node.op_type),)
        else:
            broken = tuple(limit.message for limit in operator.constraints if not limit.check(node, target))
            missing = lacking(node.op_type, operator.since, target.esp_dl)
            reasons = broken if missing is None else (missing, *broken)
            found.update({node.name: reasons} if reasons else {})
    return found


def place_rest(
    network: Network, target: Target, refused: Container[str], *, bits: int = 8, int16: Sequence[str] = ()
) -> dict[str, Decision]:
    """Decide the precision of every node that is not refused: `place` for reports.

    Args:
        network: The canonical float network.
        target: The chip.
        refused: Names of the nodes to leave out.
        bits: As for `place`.
        int16: As for `place`; patterns may name refused nodes.

    Raises:
        RecipeError: As `place`.
    """
    chosen = _choices(network, bits, int16)
    return _decisions(without(network, refused), target, bits, chosen)


def without(network: Network, names: Container[str]) -> Network:
    """The network less some nodes: what they computed comes in as inputs, what they read goes out as outputs."""
    nodes = tuple(node for node in network.nodes if node.name not in names)
    if len(nodes) == len(network.nodes):
        return network
    dropped = [node for node in network.nodes if node.name in names]
    made = {operand.name for node in nodes for operand in node.outputs}
    read = {operand.name for node in nodes for operand in node.inputs if operand is not None}
    sources = (*network.inputs, *(operand for node in dropped for operand in node.outputs))
    ends = (*network.outputs, *(operand for node in dropped for operand in node.inputs if operand is not None))
    outputs = {operand.name: operand for operand in ends if operand.name in made}
    inputs = tuple(operand for operand in sources if operand.name in read)
    return Network(nodes, inputs, tuple(outputs.values()), network.name)


def _choices(network: Network, bits: int, int16: Sequence[str], scopes: Sequence[Scope] = ()) -> dict[str, Choice]:
    if bits not in (8, 16):
        raise RecipeError(f"{bits} bits are not available.", subject="bits", hint="The chips compute in 8 or 16 bits.")
    return widths(network, int16, scopes)


def _decisions(network: Network, target: Target, bits: int, chosen: Mapping[str, Choice]) -> dict[str, Decision]:
    default = Decision(_precision(bits), "default")
    absorbed = {activation.name: name for name, activation in activations_after_linear(network).items()}
    producers = {output.name: node for node in network.nodes for output in node.outputs}
    reading = readers(network)
    decisions: dict[str, Decision] = {}
    for node in network.nodes:
        operator = operators()[node.op_type]
        source = producers.get(node.input(0).name) if node.has(0) else None
        if node.name in absorbed:
            with_it = decisions[absorbed[node.name]].precision
            named = decisions[absorbed[node.name]].chosen
            decision = Decision(with_it, f"with {absorbed[node.name]!r}, whose activation it is", chosen=named)
        elif node.name in chosen:
            decision = Decision(_precision(chosen[node.name].bits), chosen[node.name].reason, chosen=True)
        elif not operator.passive:
            decision = default
        elif source is not None:
            decision = _moved(operator, source, target, decisions)
        else:
            behind = [reader.name for output in node.outputs for reader in reading.get(output.name, ())]
            decision = _read_by(behind, chosen) or default
        decisions[node.name] = _supported(decision, operator, node, target)
    return decisions


def _precision(bits: int) -> Precision:
    return "int8" if bits == 8 else "int16"


def _read_by(names: Sequence[str], chosen: Mapping[str, Choice]) -> Decision | None:
    """For a mover at the start of the network: the width that is chosen for all who read it."""
    found = {chosen[name].bits for name in names if name in chosen}
    if len(found) != 1 or not all(name in chosen for name in names):
        return None
    (precision,) = map(_precision, found)
    return Decision(precision, f"moves what only {precision} nodes read")


def widen(placement: Placement, chosen: Mapping[str, str]) -> dict[str, Decision]:
    """The placement with some int8 nodes in int16, since calibration saw inputs that their int8 kernel overflows on.

    Args:
        placement: Decisions by name.
        chosen: Nodes by name, each with the one it runs in int16 for, itself or a later one
            (`tinsmith.algorithms.narrow`).
    """
    wide = {
        name: Decision("int16", "the int8 kernel overflows on inputs as large as calibration saw", forced=True)
        if name == behind
        else Decision("int16", f"computes the large inputs of {behind!r}")
        for name, behind in chosen.items()
    }
    return {name: wide.get(name, decision) for name, decision in placement.items()}


def forced(placement: Placement) -> tuple[str, ...]:
    """A line for each node that the runtime lacks in the precision it would have had."""
    return tuple(
        f"{name!r} runs in {decision.precision}: {decision.reason}."
        for name, decision in placement.items()
        if decision.forced
    )


def _moved(operator: Operator, source: FloatNode, target: Target, decisions: Mapping[str, Decision]) -> Decision:
    """Data movers follow the node whose results they move."""
    found = decisions[source.name].precision
    gives_float = operators()[source.op_type].ports(source, target).outputs[0].kind is Kind.FLOAT
    if (found == "float32" or gives_float) and "float32" in operator.available(target):
        return Decision("float32", f"its input is the float output of {source.name!r}")
    return Decision(found, f"moves what {source.name!r} computes")


def _supported(decision: Decision, operator: Operator, node: FloatNode, target: Target) -> Decision:
    available = operator.available(target)
    if decision.precision in available:
        return decision
    for other in ("int8", "int16", "float32"):
        if other in available:
            return Decision(other, f"the runtime has no {decision.precision} {node.op_type}", forced=True)
    raise UnsupportedError("has no precision at all.", subject=node.subject)
