"""The dispatch table: what each layer of the float network became."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network
from tinsmith.ops.ports import Kind
from tinsmith.ops.steps import steps
from tinsmith.placement import Placement
from tinsmith.quant.format import Formats
from tinsmith.targets import Target


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """One layer of the float network.

    Attributes:
        layer: Its name.
        operator: ONNX operator.
        precision: `int8`, `int16` or `float32`.
        reason: Why.
        weights: Exponents of its weights: one, or one per output channel; empty where it has none.
        output: Exponent of its result; None for floats and indices, and where the next layer's activation is computed
            in the same step, since the result in between is never stored.
        fused: The layer whose activation it computes in the same step; empty where there is none.
        macs: Its multiply-accumulates.
    """

    layer: str
    operator: str
    precision: str
    reason: str
    weights: tuple[int, ...]
    output: int | None
    fused: str = ""
    macs: int = 0


def dispatch_table(network: Network, placement: Placement, formats: Formats, target: Target) -> tuple[LayerChoice, ...]:
    """What each layer became, in the order in which they are computed.

    Args:
        network: The canonical float network.
        placement: Decisions by layer.
        formats: The chosen formats.
        target: The chip.
    """
    fused = {step.fused.name: step.node.name for step in steps(network, formats) if step.fused is not None}
    inner = set(fused.values())
    return tuple(
        LayerChoice(
            node.name,
            node.op_type,
            placement[node.name].precision,
            placement[node.name].reason,
            _weights(node, formats, target) if placement[node.name].precision != "float32" else (),
            None if node.name in inner else _output(node, formats),
            fused.get(node.name, ""),
            operators()[node.op_type].cost(node).macs,
        )
        for node in network.nodes
    )


def _weights(node: FloatNode, formats: Formats, target: Target) -> tuple[int, ...]:
    ports = operators()[node.op_type].ports(node, target)
    for index, port in enumerate(ports.inputs):
        chosen = formats.uses.get((node.name, index))
        if port.kind is Kind.WEIGHT and node.const(index) is not None and chosen is not None:
            return chosen.exponents
    return ()


def _output(node: FloatNode, formats: Formats) -> int | None:
    found = formats.values.get(node.outputs[0].name)
    return None if found is None else found.exponent


def exponents_text(exponents: Sequence[int]) -> str:
    """``-7``, or ``-9 … -6`` where there are several."""
    ends = sorted({min(exponents), max(exponents)}) if exponents else []
    return " … ".join(map(str, ends))
