"""The formats of a node of the network as esp-ppq's configurations."""

from __future__ import annotations

from collections.abc import Set

from tinsmith.compat.esp_ppq.core.config import OperationQuantizationConfig, TensorQuantizationConfig
from tinsmith.compat.esp_ppq.core.quant import QuantizationStates, RoundingPolicy
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.ports import Kind
from tinsmith.quant.format import Format, Formats
from tinsmith.quant.rounding import Rounding
from tinsmith.targets import Target

_ROUNDING = {
    Rounding.HALF_EVEN: RoundingPolicy.ROUND_HALF_EVEN,
    Rounding.HALF_UP: RoundingPolicy.ROUND_HALF_UP,
}


def config_of(
    node: FloatNode, formats: Formats, bits: int, target: Target, computed: Set[str], *, fused: bool
) -> OperationQuantizationConfig:
    """The formats of a node's inputs and outputs.

    Args:
        node: The node.
        formats: Of the network.
        bits: The node's width.
        target: The chip.
        computed: Names of the values that nodes compute.
        fused: Whether the node behind is computed in the same step, so that its own output is never stored.
    """
    ports = operators()[node.op_type].ports(node, target)
    rounding = _ROUNDING[target.rounding]

    def config(found: Format | None, state: QuantizationStates) -> TensorQuantizationConfig:
        if found is None:
            return TensorQuantizationConfig((), 32, None, QuantizationStates.FP32, rounding)
        return TensorQuantizationConfig(found.exponents, found.bits, found.axis, state, rounding)

    inputs = []
    for index, (operand, port) in enumerate(zip(node.inputs, ports.inputs, strict=True)):
        if operand is None or port.kind in (Kind.RAW, Kind.FLOAT, Kind.BOOL):
            inputs.append(config(None, QuantizationStates.FP32))
        elif port.kind is Kind.BIAS:
            inputs.append(config(_bias(node, formats, bits, target), QuantizationStates.PASSIVE))
        else:
            state = QuantizationStates.OVERLAPPED if operand.name in computed else QuantizationStates.ACTIVATED
            inputs.append(config(formats.at(node.name, index, operand.name), state))
    state = QuantizationStates.OVERLAPPED if fused else QuantizationStates.ACTIVATED
    outputs = [config(formats.values.get(output.name), state) for output in node.outputs]
    return OperationQuantizationConfig(inputs, outputs)


def _bias(node: FloatNode, formats: Formats, bits: int, target: Target) -> Format | None:
    """The sum of the first two inputs' exponents, in the width that the chip allows."""
    first, second = (formats.at(node.name, index, node.input(index).name) for index in (0, 1))
    if first is None or second is None or bits not in target.linear:
        return None
    exponents = tuple(first.exponent + exponent for exponent in second.exponents)
    return Format(target.linear[bits].bias_bits, exponents, None if second.axis is None else 0)
