"""What a network would cost with layers whole that `tinsmith.algorithms.split_outputs` made parts of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinsmith.algorithms.split_outputs import PartedLayer
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network, Operand
from tinsmith.ops.passage import Weighted
from tinsmith.quant.format import Format, Formats


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """A network with its layers whole again.

    Attributes:
        network: It.
        formats: Those of its values. Where weights share an exponent, the largest of the parts'.
        widths: Width of each node by name.
    """

    network: Network
    formats: Formats
    widths: Mapping[str, int]


def join_outputs(
    network: Network, formats: Formats, widths: Mapping[str, int], layers: Sequence[PartedLayer]
) -> Joined:
    """Put each layer in the place of its parts, with their weights and biases as they are now.

    Args:
        network: With all parts; constants may be others than `split_outputs` left.
        formats: Its formats.
        widths: Width of each node by name.
        layers: What was split.
    """
    nodes = {node.name: node for node in network.nodes}
    values, uses, bits = dict(formats.values), dict(formats.uses), dict(widths)
    behind: dict[str, list[FloatNode]] = {}
    gone: set[str] = set()
    for layer in layers:
        parts = [nodes[name] for name in layer.parts]
        copies = [nodes[name] for name in layer.activations]
        concat = nodes[layer.concat]
        made = _whole(layer, parts, copies, concat)
        for node, old in zip(made, (parts[0], *copies[:1]), strict=True):
            bits[node.name] = bits[old.name]
            values[node.outputs[0].name] = formats.values[old.outputs[0].name]
            uses.update({(node.name, at): use for (name, at), use in formats.uses.items() if name == old.name})
        arriving = [formats.at(part.name, 1, part.input(1).name) for part in parts]
        uses[layer.layer, 1] = _common([found for found in arriving if found is not None])
        behind[layer.concat] = made
        gone.update(layer.parts, layer.activations)
    kept = [made for node in network.nodes for made in behind.get(node.name, [node]) if made.name not in gone]
    return Joined(replace(network, nodes=tuple(kept)), Formats(values, uses), bits)


def _whole(
    layer: PartedLayer, parts: Sequence[FloatNode], copies: Sequence[FloatNode], concat: FloatNode
) -> list[FloatNode]:
    """The layer, and the activation behind it where there is one."""
    first, result = parts[0], concat.outputs[0]
    axes = operators()[first.op_type].passage(first)
    assert isinstance(axes, Weighted)
    inputs = [first.inputs[0], _joined(layer.layer, parts, 1, axes.rows)]
    inputs += [_joined(layer.layer, parts, 2, 0)] if first.has(2) else []
    if not copies:
        return [replace(first, name=layer.layer, inputs=tuple(inputs), outputs=(result,))]
    inner = Operand(f"{layer.layer}.whole", result.shape, result.dtype)
    return [
        replace(first, name=layer.layer, inputs=tuple(inputs), outputs=(inner,)),
        replace(copies[0], inputs=(inner, *copies[0].inputs[1:]), outputs=(result,), name=f"{layer.layer}.activation"),
    ]


def _joined(name: str, parts: Sequence[FloatNode], index: int, axis: int) -> Operand:
    array = np.concatenate([np.asarray(part.const(index)) for part in parts], axis=axis)
    return Operand(f"{name}.whole{index}", array.shape, array.dtype, array)


def _common(formats: Sequence[Format]) -> Format:
    """One format for weights that were in several."""
    first = formats[0]
    if first.axis is None:
        return replace(first, exponents=(max(found.exponent for found in formats),))
    return replace(first, exponents=tuple(exponent for found in formats for exponent in found.exponents))
