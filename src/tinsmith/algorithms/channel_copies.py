"""Which nodes have to change together if a channel of a layer is to exist twice.

Layers compute the channel, layers with a weight for each of its copies read it, and everything in between treats each
channel for itself. Found on the canonical model, from one layer in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from tinsmith.algorithms.split_layers import is_layer
from tinsmith.graph.edit import constant, known_shape
from tinsmith.graph.network import as_float_node
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.passage import Passage, Weighted
from tinsmith.ops.steps import upper_bound

AXIS = 1
"""Of the channels in every value concerned."""


@dataclass(slots=True, eq=False)
class Bundle:
    """Layers whose channels can only be copied together.

    Attributes:
        before: The layers that compute the channels.
        behind: The layers that read them.
        depthwise: Layers in between, with weights for each channel.
        between: Other nodes in between.
        values: Everything that has these channels.
        linear: Whether all in between passes a factor on: copies may be smaller than the channel.
        summed: Whether an Add or Sub is in between.
    """

    before: dict[ir.Node, Weighted] = field(default_factory=dict)
    behind: dict[ir.Node, Weighted] = field(default_factory=dict)
    depthwise: dict[ir.Node, Weighted] = field(default_factory=dict)
    between: dict[ir.Node, None] = field(default_factory=dict)
    values: dict[ir.Value, None] = field(default_factory=dict)
    linear: bool = True
    summed: bool = False


def bundle_of(layer: ir.Node) -> Bundle | None:
    """What has to change with a layer's channels; None where something needs them to be as many as they are."""
    weighted = weighted_of(layer)
    if weighted is None or weighted.columns is None:
        return None
    found = Bundle()
    pending = [layer.outputs[0]]
    while pending:
        value = pending.pop()
        if value in found.values:
            continue
        found.values[value] = None
        maker = value.producer()
        if value.is_graph_output() or maker is None or not _made_by(maker, found, pending):
            return None
        if not all(_read_by(use.node, use.idx, found, pending) for use in value.uses()):
            return None
    return found if found.behind else None


def weighted_of(node: ir.Node) -> Weighted | None:
    """Where the weights of a layer are, if it has constant ones and channels along axis 1."""
    operator = operators().get(node.op_type)
    shape = known_shape(node.outputs[0])
    if operator is None or shape is None or len(shape) < 2 or not is_layer(node):
        return None
    passage = operator.passage(as_float_node(node))
    if isinstance(passage, Weighted) and passage.weights == 1 and passage.channels % len(shape) == AXIS:
        return passage
    return None


def channel_axis(array_shape: tuple[int, ...], rank: int, channels: int) -> int | None:
    """The axis of a constant, broadcast to ``rank`` dimensions, along which it has an element per channel."""
    axis = AXIS - (rank - len(array_shape))
    return axis if 0 <= axis < len(array_shape) and array_shape[axis] == channels else None


def _made_by(node: ir.Node, found: Bundle, pending: list[ir.Value]) -> bool:
    """The node that computes a value of the bundle: a layer, or something in between, whose input belongs to it."""
    weighted = weighted_of(node)
    if weighted is not None and weighted.columns is not None:
        found.before[node] = weighted
        return True
    return _between(node, weighted, found, pending)


def _read_by(node: ir.Node, index: int, found: Bundle, pending: list[ir.Value]) -> bool:
    weighted = weighted_of(node)
    if weighted is not None and weighted.columns is not None:
        found.behind[node] = weighted
        return index == 0
    return _between(node, weighted, found, pending)


def _between(node: ir.Node, weighted: Weighted | None, found: Bundle, pending: list[ir.Value]) -> bool:
    """A node that treats each channel for itself: its computed inputs and its output belong to the bundle."""
    if len(node.outputs) != 1:
        return False
    if weighted is not None:
        found.depthwise[node] = weighted
        pending += [node.outputs[0], *(value for value in node.inputs[:1] if value is not None)]
        return True
    kind = _kind(node)
    if kind is None:
        return False
    found.between[node] = None
    found.linear &= kind != "function"
    found.summed |= kind == "sum"
    pending += [node.outputs[0], *(v for v in node.inputs if v is not None and constant(v) is None)]
    return True


def _kind(node: ir.Node) -> str | None:
    """How a node treats channels: as one of "linear", "sum", "function", or, None, not each for itself."""
    operator = operators().get(node.op_type)
    computed = [value for value in node.inputs if value is not None and constant(value) is None]
    shapes = [known_shape(value) for value in (*computed, node.outputs[0])]
    if operator is None or any(shape is None or len(shape) < 2 for shape in shapes):
        return None
    if _squeezes(node):
        return "linear"
    if len({(len(shape), shape[AXIS]) for shape in shapes if shape is not None}) > 1:
        return None
    float_node = as_float_node(node)
    passage = operator.passage(float_node)
    if passage is Passage.SUMS:
        return "sum"
    if passage in (Passage.PRODUCT, Passage.QUOTIENT):
        return "function"
    if len(computed) != 1 or computed[0] is not node.inputs[0]:
        return None
    if passage is Passage.CHANNELS and all(i is None or i.dtype.kind == "f" for i in float_node.inputs):
        return "linear"
    if passage is Passage.KEEPS and not _ceiling(float_node):
        return "linear"
    return "function" if operator.function is not None or passage is Passage.KEEPS else None


def _ceiling(node: FloatNode) -> bool:
    bound = upper_bound(node)
    return bound is not None and bool(np.isfinite(bound))


def _squeezes(node: ir.Node) -> bool:
    """A Reshape of one element per channel to (1, channels): its result has its channels along axis 1, too."""
    if node.op_type not in ("Reshape", "Flatten"):
        return False
    source, result = (known_shape(value) for value in (node.inputs[0], node.outputs[0]) if value is not None)
    return source is not None and result is not None and result == source[:2] and int(np.prod(source[2:])) == 1
