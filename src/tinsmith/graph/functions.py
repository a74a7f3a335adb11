"""Several element-wise nodes that together are a function of one variable become one node with a look-up table.

x · tanh(log(1 + eˣ)), x · sigmoid(1.702 x), a swish with its own factor, or whatever else somebody spelled out with
numbers and a single tensor: computed node by node, every step would be rounded to 8 bits, and steps such as Log of a
large range lose most of them. One table rounds once.

Matched: element-wise nodes (`tinsmith.ops.pointwise`) whose constants have one element each, between a value all of
them depend on and a value that is the only one others read. They are merged where the runtime lacks one of them, where
there are at least three, or where the last of two would make the rounding of the first much larger (Log of Sigmoid). An
activation that the chip computes inside the node before it (Conv and Relu) stays there. The nodes stay in the ONNX
model; only the operators' view has one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network, Operand, readers
from tinsmith.ops.functions import FUNCTION, OPERATORS
from tinsmith.ops.pointwise import STEEP, functions
from tinsmith.ops.steps import activations_after_linear
from tinsmith.targets import Target

MANY = 3
"""So many nodes become one even if the runtime has them all."""
WORTH_A_TABLE = 2048
"""Elements from which a table of 128 KiB is worth the time it saves."""
_DEEPEST = 40


def with_functions(network: Network) -> Network:
    """The network with its functions of one variable merged; itself where there are none."""
    found = _Functions(network)
    bodies = found.bodies()
    if not bodies:
        return network
    nodes: list[FloatNode] = []
    used = {operand.name for operand in network.outputs}
    for node in reversed(network.nodes):
        if any(output.name in used for output in node.outputs):
            nodes.append(bodies[node.name].as_node() if node.name in bodies else node)
            used.update(_computed(nodes[-1]))
    return Network(tuple(reversed(nodes)), network.inputs, network.outputs, network.name)


def small_tables(network: Network, bits: Mapping[str, int], target: Target) -> frozenset[str]:
    """The functions that are better computed node by node: an int16 table is large, and the runtime can do without.

    Args:
        network: With functions merged.
        bits: Width of each node by name.
        target: The chip.

    Returns:
        Names of nodes.
    """
    return frozenset(
        node.name
        for node in network.nodes
        if node.body
        and bits.get(node.name) == 16
        and math.prod(node.outputs[0].shape) < WORTH_A_TABLE
        and all(_has(part, target) for part in node.body)
    )


def _has(node: FloatNode, target: Target) -> bool:
    """Whether the runtime has a node in int16."""
    operator = operators().get(node.op_type)
    if operator is None or operator in OPERATORS or "int16" not in operator.types:
        return False
    return operator.since <= target.esp_dl and all(limit.check(node, target) for limit in operator.constraints)


def without_functions(network: Network, names: Set[str]) -> Network:
    """The network with the functions of those names node by node again."""
    nodes = tuple(part for node in network.nodes for part in (node.body if node.name in names else (node,)))
    return Network(nodes, network.inputs, network.outputs, network.name)


@dataclass(frozen=True, slots=True, eq=False)
class _Body:
    source: Operand
    nodes: tuple[FloatNode, ...]

    def as_node(self) -> FloatNode:
        last = self.nodes[-1]
        return FloatNode(FUNCTION, last.name, (self.source,), last.outputs, body=self.nodes)


class _Functions:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.readers: Mapping[str, Sequence[FloatNode]] = readers(network)
        self.kept = {operand.name for operand in network.outputs}
        self.places = {node.name: place for place, node in enumerate(network.nodes)}
        self.producers = {output.name: node for node in network.nodes for output in node.outputs}
        self.operands = {operand.name: operand for operand in network.inputs}
        self.operands.update((output.name, output) for node in network.nodes for output in node.outputs)
        # By value: the nearest value it is a function of.
        self.variable: dict[str, str] = {}
        fused = {activation.name for activation in activations_after_linear(network).values()}
        for node in network.nodes:
            nearest = self._variable(node) if node.name not in fused else None
            if nearest is not None:
                self.variable[node.outputs[0].name] = nearest

    def bodies(self) -> dict[str, _Body]:
        """By the name of the last node."""
        found: dict[str, _Body] = {}
        absorbed: set[str] = set()
        for node in reversed(self.network.nodes):
            body = None if node.name in absorbed else self._largest(node)
            if body is not None:
                found[node.name] = body
                for part in reversed(body.nodes[:-1]):
                    if self._only_for({*absorbed, node.name}, part):
                        absorbed.add(part.name)
        return found

    def _only_for(self, names: Set[str], node: FloatNode) -> bool:
        """Whether only nodes of those names read a node's result."""
        name = node.outputs[0].name
        return name not in self.kept and all(reader.name in names for reader in self.readers[name])

    def _variable(self, node: FloatNode) -> str | None:
        if not _pointwise(node):
            return None
        chains = [self._chain(name) for name in _computed(node)]
        return next((name for name in chains[0] if all(name in chain for chain in chains[1:])), None)

    def _chain(self, name: str) -> list[str]:
        """A value, what it is a function of, and so on."""
        found = [name]
        while found[-1] in self.variable and len(found) < _DEEPEST:
            found.append(self.variable[found[-1]])
        return found

    def _largest(self, last: FloatNode) -> _Body | None:
        """The largest body that ends with a node."""
        output = last.outputs[0]
        if output.name not in self.variable or output.dtype.kind != "f":
            return None
        chain = self._chain(output.name)[1:]
        for source in reversed(chain):
            nodes = self._between(source, last)
            if self._is_float(source) and self._closed(nodes) and _worthwhile(nodes):
                return _Body(self.operands[source], nodes)
        if last.op_type not in operators():
            # Better to compute twice what others read as well than not at all.
            nearest = next((source for source in chain if self._is_float(source)), None)
            return None if nearest is None else _Body(self.operands[nearest], self._between(nearest, last))
        return None

    def _is_float(self, name: str) -> bool:
        return self.operands[name].dtype.kind == "f"

    def _between(self, source: str, last: FloatNode) -> tuple[FloatNode, ...]:
        found, pending = {last.name}, [last]
        while pending:
            for name in _computed(pending.pop()):
                if name != source and self.producers[name].name not in found:
                    found.add(self.producers[name].name)
                    pending.append(self.producers[name])
        return tuple(self.network.nodes[place] for place in sorted(self.places[name] for name in found))

    def _closed(self, nodes: tuple[FloatNode, ...]) -> bool:
        """Whether nobody else reads what is computed on the way."""
        names = {node.name for node in nodes}
        return all(self._only_for(names, node) for node in nodes[:-1])


def _computed(node: FloatNode) -> list[str]:
    """Names of the inputs that are not constants."""
    return list(dict.fromkeys(o.name for o in node.inputs if o is not None and o.const is None))


def _pointwise(node: FloatNode) -> bool:
    """Whether each element of the only output depends on the same element of computed inputs and on numbers."""
    if node.op_type not in functions() or len(node.outputs) != 1 or node.body:
        return False
    given = [operand for operand in node.inputs if operand is not None]
    kinds = {operand.dtype.kind for operand in (*given, *node.outputs)}
    computed = [operand for operand in given if operand.const is None]
    return (
        (kinds <= {"f", "b"} or node.op_type == "Cast")
        and bool(computed)
        and all(operand.shape == node.outputs[0].shape for operand in computed)
        and all(operand.const is None or operand.const.size == 1 for operand in given)
    )


def _worthwhile(nodes: tuple[FloatNode, ...]) -> bool:
    tables = {operator.name for operator in OPERATORS}
    kinds = {node.op_type for node in nodes}
    unknown, lacking = bool(kinds - operators().keys()), bool(kinds & tables)
    steep = nodes[-1].op_type in STEEP
    return unknown or (len(nodes) > 1 and (lacking or steep)) or len(nodes) >= MANY
