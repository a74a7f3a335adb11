"""Nodes whose int8 kernel overflows on large inputs run in int16 where the data have such inputs.

ESP-DL's int8 Softmax subtracts no maximum, so logits of 64 and more overflow; its int16 Softmax does. Only calibration
tells which of a network's Softmaxes see such logits. Those run in int16, and so does what computes their input for them
alone, the product of queries and keys for instance: its result then has steps that matter to an exponential, where int8
would have steps of 1 and more. Layers with weights stay in int8, so that no file grows: their result is widened, which
loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tinsmith.algorithms.scales import observed_values
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network, readers
from tinsmith.ops.ports import Kind
from tinsmith.ops.steps import activations_after_linear
from tinsmith.targets import Target


def at_risk(network: Network, bits: Mapping[str, int], target: Target) -> tuple[str, ...]:
    """Names of int8 nodes whose kernel overflows on large inputs, and whose int16 kernel does not."""
    return tuple(node.name for node in network.nodes if bits.get(node.name) == 8 and _overflows(node, target))


def widened(network: Network, bits: Mapping[str, int], target: Target, names: Iterable[str]) -> dict[str, str]:
    """The nodes that run in int16 if some do for their large inputs: these, and what computes their inputs.

    Args:
        network: The network.
        bits: Width of each node by name.
        target: The chip.
        names: Of `at_risk`.

    Returns:
        By name of a node that was int8: the one of ``names`` that it runs in int16 for.
    """
    wide = _Widening(network, bits, target)
    for name in names:
        wide.add(name)
    return wide.found


def values_to_observe(network: Network, bits: Mapping[str, int], target: Target) -> tuple[list[str], list[int]]:
    """As `observed_values`, for the network as it is and as it would be with all nodes at risk in int16."""
    values, widths = observed_values(network, bits, target)
    risky = widened(network, bits, target, at_risk(network, bits, target))
    if not risky:
        return values, widths
    more, wider = observed_values(network, {**bits, **dict.fromkeys(risky, 16)}, target)
    return list(dict.fromkeys((*values, *more))), sorted({*widths, *wider})


def _overflows(node: FloatNode, target: Target) -> bool:
    operator = operators()[node.op_type]
    ports = operator.ports(node, target)
    limited = ports.largest_input_exponent is not None and ports.largest_wide_exponent is None
    return limited and "int16" in operator.available(target)


class _Widening:
    def __init__(self, network: Network, bits: Mapping[str, int], target: Target) -> None:
        self.bits = bits
        self.target = target
        self.found: dict[str, str] = {}
        self.nodes = {node.name: node for node in network.nodes}
        self.producers = {output.name: node for node in network.nodes for output in node.outputs}
        self.readers = readers(network)
        self.kept = {operand.name for operand in network.outputs}
        self.fused = {activation.name for activation in activations_after_linear(network).values()}

    def add(self, name: str) -> None:
        """Takes a node and what computes its input: data movers and sums, back to the first product."""
        self.found[name] = name
        pending = [self.nodes[name]]
        while pending:
            for operand in pending.pop().inputs:
                source = None if operand is None else self.producers.get(operand.name)
                if source is None or source.name in self.found or not self._joins(source):
                    continue
                self.found[source.name] = name
                if not _multiplies(source, self.target):
                    pending.append(source)

    def _joins(self, node: FloatNode) -> bool:
        operator = operators()[node.op_type]
        if self.bits[node.name] != 8 or node.name in self.fused or "int16" not in operator.available(self.target):
            return False
        if any(output.name in self.kept for output in node.outputs):
            return False
        if any(
            reader.name not in self.found for output in node.outputs for reader in self.readers.get(output.name, ())
        ):
            return False
        ports = operator.ports(node, self.target)
        weighted = any(port.kind is Kind.WEIGHT for port in ports.inputs)
        return not weighted and bool(operator.passive or ports.tied or ports.product)


def _multiplies(node: FloatNode, target: Target) -> bool:
    """Whether it multiplies what is computed with what is computed."""
    product = operators()[node.op_type].ports(node, target).product
    return product is not None and all(node.const(index) is None for index in product)
