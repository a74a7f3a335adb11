"""Which nodes run in the same width, whatever that is: a *unit* is a node and what goes along with it.

An activation that is fused goes with the node before it, and a node that moves one value's data with whoever computes
that value. What joins several values (Concat) is a unit of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network
from tinsmith.ops.steps import activations_after_linear
from tinsmith.targets import Target


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """The units of a network.

    Attributes:
        of: By node: the unit's first node, whose name is the unit's.
        members: By unit: its nodes, in order.
        width: Width of each unit.
        free: Units that run in int8 and could run in int16.
    """

    of: Mapping[str, str]
    members: Mapping[str, tuple[str, ...]]
    width: Mapping[str, int]
    free: frozenset[str]

    def all_of(self, nodes: Iterable[str]) -> frozenset[str]:
        """All nodes of the units that some nodes belong to."""
        return frozenset(member for node in nodes for member in self.members[self.of[node]])

    def promoted(self, bits: Mapping[str, int], nodes: Iterable[str]) -> dict[str, int]:
        """The widths with the units of some nodes in int16; nodes that are not in int8 keep theirs."""
        wide = self.all_of(nodes)
        return {name: 16 if name in wide and width == 8 else width for name, width in bits.items()}


def units(network: Network, bits: Mapping[str, int], target: Target) -> Units:
    """The units of a network.

    Args:
        network: The canonical float network.
        bits: Width of each node by name (32 for float).
        target: The chip.
    """
    fused = {activation.name: name for name, activation in activations_after_linear(network).items()}
    producers = {output.name: node.name for node in network.nodes for output in node.outputs}
    of: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    for node in network.nodes:
        before = fused.get(node.name)
        if before is None and moves(node):
            before = producers.get(node.input(0).name)
        joins = before is not None and bits[before] == bits[node.name]
        of[node.name] = of[before] if joins and before is not None else node.name
        members.setdefault(of[node.name], []).append(node.name)
    nodes = {node.name: node for node in network.nodes}
    free = (
        unit
        for unit, names in members.items()
        if all(bits[name] == 8 and "int16" in operators()[nodes[name].op_type].available(target) for name in names)
    )
    whole = {unit: tuple(names) for unit, names in members.items()}
    return Units(of, whole, {unit: bits[unit] for unit in whole}, frozenset(free))


def moves(node: FloatNode) -> bool:
    """Whether it moves the data of one computed value and nothing else."""
    return operators()[node.op_type].passive and sum(i is not None and i.const is None for i in node.inputs) == 1
