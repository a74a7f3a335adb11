"""Conv and ConvTranspose with groups, which the runtime has for one group or as depthwise, one filter per channel.

- A depthwise Conv with m filters per channel becomes m depthwise Convs, the j-th with the j-th filter of every channel.
  Their Concat has the channels in another order; what follows takes them so (`tinsmith.graph.channel_order`), or a
  shuffle restores it.
- Other groups become Split, one convolution each, and Concat. Neighbouring groups with few filters go together, with
  zeros for the weights between them: vector units compute 16 filters at a time, and products with zero change no sum.
- With fewer channels than a vector has, all groups become one ordinary convolution.

A Relu or Clip behind moves in front of the Concat, where it is part of the convolution. Exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from tinsmith.graph.channel_order import reorder
from tinsmith.graph.edit import (
    Array,
    Attribute,
    add_constant,
    constant,
    discard,
    each,
    fresh,
    get_int,
    graph_of,
    input_of,
    insert,
    is_constant,
    only_user,
    present,
    set_attributes,
    set_constant,
    shape_of,
    swap,
)

VECTOR = 16
"""Filters that the vector units compute at a time."""


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Conv", "ConvTranspose"), _ungroup)


def _ungroup(node: ir.Node) -> bool:
    group, weights = get_int(node, "group", 1), constant(input_of(node, 1))
    channels = shape_of(present(node, 0))[1]
    plain_bias = input_of(node, 2) is None or is_constant(input_of(node, 2))
    if group == 1 or weights is None or not plain_bias or channels % group:
        return False
    filters = shape_of(node.outputs[0])[1]
    if group == channels == filters:
        return False
    if group == channels and node.op_type == "Conv" and channels >= VECTOR:
        _multiplied(node, weights, filters // channels)
        return True
    together = _together(group, filters // group) if channels >= VECTOR else group
    blocks = _blocks(node, weights, together)
    if len(blocks) == 1:
        set_constant(node, 1, blocks[0])
        return set_attributes(node, {"group": 1})
    parts = _split(node, len(blocks))
    biases = _biases(node, len(blocks))
    pieces = zip(parts, blocks, biases, strict=True)
    made = [_convolution(node, f".{i}", source, w, b, {"group": 1}) for i, (source, w, b) in enumerate(pieces)]
    _join(node, made, None)
    return True


def _together(group: int, filters: int) -> int:
    """How many groups of so many filters to compute at once: the fewest that fill a vector."""
    return next((m for m in range(1, group) if group % m == 0 and m * filters >= VECTOR), group)


def _blocks(node: ir.Node, weights: Array, together: int) -> list[Array]:
    """The weights of each convolution: those of its groups, zeros between them."""
    group = get_int(node, "group", 1)
    parts = weights.reshape(group // together, together, weights.shape[0] // group, *weights.shape[1:])
    rows, columns, *window = parts.shape[2:]
    blocks = np.zeros((len(parts), together, rows, together, columns, *window), weights.dtype)
    for index in range(together):
        blocks[:, index, :, index] = parts[:, index]
    return [block.reshape(together * rows, together * columns, *window) for block in blocks]


def _split(node: ir.Node, count: int) -> list[ir.Value]:
    """The input's channels in so many parts."""
    source, graph = present(node, 0), graph_of(node)
    batch, channels, *spatial = shape_of(source)
    size = channels // count
    sizes = add_constant(graph, np.full(count, size, np.int64), f"{node.name}.sizes")
    first = insert(node, "Split", [source, sizes], (batch, size, *spatial), {"axis": 1}, name=f"{node.name}.groups")
    splitter = first.producer()
    assert splitter is not None
    splitter.resize_outputs(count)
    for index, value in enumerate(splitter.outputs):
        value.name = fresh(graph, f"{first.name}.{index}") if index else value.name
        value.type, value.shape = ir.TensorType(first.dtype or ir.DataType.FLOAT), first.shape
    return list(splitter.outputs)


def _biases(node: ir.Node, count: int) -> Sequence[Array | None]:
    bias = constant(input_of(node, 2))
    return [None] * count if bias is None else np.split(bias, count)


def _multiplied(node: ir.Node, weights: Array, multiplier: int) -> None:
    """One depthwise Conv for each filter a channel has."""
    bias, source = constant(input_of(node, 2)), present(node, 0)
    made = []
    for index in range(multiplier):
        own = None if bias is None else bias[index::multiplier]
        made.append(_convolution(node, f".{index}", source, weights[index::multiplier], own, {}))
    _join(node, made, multiplier)


def _convolution(
    node: ir.Node, suffix: str, source: ir.Value, weights: Array, bias: Array | None, changed: dict[str, Attribute]
) -> ir.Value:
    """A node like ``node`` with other constants."""
    graph, shape = graph_of(node), shape_of(node.outputs[0])
    inputs = [source, add_constant(graph, weights, f"{present(node, 1).name}{suffix}")]
    if bias is not None:
        inputs.append(add_constant(graph, bias, f"{present(node, 2).name}{suffix}"))
    attributes = {name: attribute.value for name, attribute in node.attributes.items()} | changed
    result = (shape[0], weights.shape[0 if node.op_type == "Conv" else 1], *shape[2:])
    return insert(node, node.op_type, inputs, result, attributes, name=f"{node.name}{suffix}")


def _join(node: ir.Node, parts: list[ir.Value], multiplier: int | None) -> None:
    """Puts the Concat of the parts in the place of the node, or of the activation behind it.

    With a multiplier, channel j·C + c of the Concat is channel c·m + j of the node.
    """
    last = only_user(node.outputs[0])
    if last is not None and last.op_type in ("Relu", "Clip") and all(map(is_constant, last.inputs[1:])):
        parts = [
            insert(last, last.op_type, [part, *last.inputs[1:]], shape_of(part), name=f"{last.name}.{index}")
            for index, part in enumerate(parts)
        ]
    else:
        last = node
    result = last.outputs[0]
    if multiplier is None or reorder(result, np.arange(shape_of(result)[1]).reshape(-1, multiplier).T.reshape(-1)):
        swap(last, "Concat", parts, {"axis": 1})
    else:
        _restore(last, parts, multiplier)
    if last is not node:
        discard(node)


def _restore(node: ir.Node, parts: list[ir.Value], multiplier: int) -> None:
    """Concat, and a shuffle that brings the channels back into order."""
    shape, graph = shape_of(node.outputs[0]), graph_of(node)
    batch, channels = shape[0], shape[1] // multiplier
    area = int(np.prod(shape[2:], dtype=np.int64))
    joined = insert(node, "Concat", parts, shape, {"axis": 1}, name=f"{node.name}.joined")
    apart = (batch, multiplier, channels, area)
    dims = add_constant(graph, np.array(apart, np.int64), f"{node.name}.apart.shape")
    value = insert(node, "Reshape", [joined, dims], apart, name=f"{node.name}.apart")
    turned = (batch, channels, multiplier, area)
    value = insert(node, "Transpose", [value], turned, {"perm": (0, 2, 1, 3)}, name=f"{node.name}.turned")
    swap(node, "Reshape", [value, add_constant(graph, np.array(shape, np.int64), f"{node.name}.shape")])
