"""What the chip runs as one: a node and the activation fused into it (file format §4, last paragraph)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network, Operand, readers
from tinsmith.quant.format import Formats


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A node, and the Relu or Clip that the chip computes inside it."""

    node: FloatNode
    fused: FloatNode | None = None

    @property
    def nodes(self) -> tuple[FloatNode, ...]:
        """One or both."""
        return (self.node,) if self.fused is None else (self.node, self.fused)

    @property
    def inputs(self) -> tuple[Operand, ...]:
        """What it reads that is computed outside of it, each once."""
        made = {output.name for node in self.nodes for output in node.outputs}
        read = {i.name: i for node in self.nodes for i in node.inputs if i is not None and i.const is None}
        return tuple(operand for name, operand in read.items() if name not in made)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the nodes of the user's graph that it does the work of."""
        return tuple(dict.fromkeys(source for node in self.nodes for source in node.sources))

    @property
    def whole(self) -> FloatNode:
        """The float function of both as one node."""
        if self.fused is None:
            return self.node
        return replace(self.node, outputs=self.fused.outputs, body=(*(self.node.body or (self.node,)), self.fused))

    @property
    def outputs(self) -> tuple[Operand, ...]:
        """What the step leaves in memory."""
        return self.node.outputs if self.fused is None else self.fused.outputs

    @property
    def activation(self) -> str:
        """The `activation` attribute."""
        return "Linear" if self.fused is None else "Relu"


def upper_bound(node: FloatNode) -> float | None:
    """The ceiling of an activation that is zero below zero and the identity above; None for everything else.

    Infinity for Relu, the maximum of a Clip from 0.
    """
    if node.op_type == "Relu":
        return float("inf")
    if node.op_type != "Clip":
        return None
    low, high = node.const(1), node.const(2)
    if low is None or low.size != 1 or float(low.reshape(())) != 0.0:
        return None
    if high is None:
        return None if node.has(2) else float("inf")
    return float(high.reshape(())) if high.size == 1 else None


def activations_after_linear(network: Network) -> dict[str, FloatNode]:
    """By the name of a node that can absorb one: the Relu or Clip that alone consumes its output."""
    reading = readers(network)
    kept = {operand.name for operand in network.outputs}
    found: dict[str, FloatNode] = {}
    for node in network.nodes:
        operator = operators().get(node.op_type)
        if operator is None or not operator.fuses_relu or node.outputs[0].name in kept:
            continue
        match reading.get(node.outputs[0].name, []):
            case [reader] if upper_bound(reader) is not None and reader.input(0).name == node.outputs[0].name:
                found[node.name] = reader
    return found


def steps(network: Network, formats: Formats) -> tuple[Step, ...]:
    """The network as the chip will run it.

    A Relu always fuses. A Clip from 0 fuses where its ceiling is at least the largest number its output's format holds:
    saturation does the rest, exactly.
    """
    candidates = activations_after_linear(network)
    fused: dict[str, FloatNode] = {}
    for name, activation in candidates.items():
        bound, chosen = upper_bound(activation), formats.values.get(activation.outputs[0].name)
        if bound is not None and (np.isinf(bound) or (chosen is not None and bound >= chosen.largest)):
            fused[name] = activation
    absorbed = {id(activation) for activation in fused.values()}
    return tuple(Step(node, fused.get(node.name)) for node in network.nodes if id(node) not in absorbed)
