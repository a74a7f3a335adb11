"""Horizontal layer split: a layer with a few large weights becomes two layers whose results are added.

The step of a layer's weights is set by the largest. With W = W₁ + W₂, where W₂ has a share of the large weights and
zeros elsewhere, Y = (W₁·X + b) + W₂·X, and the largest of both is smaller than that of W. It costs the layer's
multiply-accumulates and weights a second time, an addition, and one more rounding of the result. Before a Relu or a
Clip that the chip computes inside the layer it rarely pays: both parts' results are kept with all that it would have
cut off, so their steps grow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from tinsmith.algorithms.layer_names import named_layers
from tinsmith.errors import RecipeError
from tinsmith.graph import provenance
from tinsmith.graph.edit import (
    Array,
    Attribute,
    add_constant,
    constant,
    forget_names,
    graph_of,
    insert,
    name_after,
    only_user,
    present,
    shape_of,
    swap,
)
from tinsmith.graph.network import as_float_node
from tinsmith.ops import operators
from tinsmith.ops.steps import upper_bound

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""What is split: weights are input 1, a bias is input 2."""
METHODS = ("balance", "random")


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """The options of the tutorials.

    Attributes:
        interested_layers: Names or regular expressions of the layers to split; a split costs time on the chip, so
            there is no default.
        value_threshold: Only weights of a larger magnitude are shared out.
        method: `balance`: half of each to either layer; `random`: shares drawn evenly from 0 to 1.
        seed: For `random`.

    Raises:
        RecipeError: No layers, a negative threshold or an unknown method.
    """

    interested_layers: tuple[str, ...]
    value_threshold: float = 2.0
    method: str = "balance"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.interested_layers:
            raise RecipeError("no layer is named.", subject="interested_layers", hint="Name the layers to split.")
        if not 0 <= self.value_threshold < np.inf:
            raise RecipeError(f"{self.value_threshold} is not a number of at least 0.", subject="value_threshold")
        if self.method not in METHODS:
            raise RecipeError(f"{self.method!r} is neither 'balance' nor 'random'.", subject="method")


@dataclass(frozen=True, slots=True)
class Extra:
    """What a change of the graph costs.

    Attributes:
        macs: Multiply-accumulates, more than before.
        weights: Weights, more than before.
    """

    macs: int
    weights: int

    def __add__(self, other: Extra) -> Extra:
        return Extra(self.macs + other.macs, self.weights + other.weights)

    def weight_bytes(self, bits: int) -> int:
        """The bytes of those weights in a layer that runs in 8 or 16 bits, without padding."""
        return self.weights * bits // 8


@dataclass(frozen=True, slots=True)
class SplitLayer:
    """A layer that was split.

    Attributes:
        layer: Its name; the first part keeps it, with the bias.
        part: The second part's name.
        sum: The name of the Add, which computes the value that the layer computed.
        shared: How many weights were shared out.
        largest: The largest magnitude of a weight: before, in the first part, in the second.
        extra: What it costs.
        unfused: Name of the activation that the chip computed inside the layer, and now behind the Add; empty where
            there is none.
    """

    layer: str
    part: str
    sum: str
    shared: int
    largest: tuple[float, float, float]
    extra: Extra
    unfused: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SplitModel:
    """A model with layers split.

    Attributes:
        model: Canonical, the same function up to float rounding.
        layers: What was done, in the order of the graph.
        untouched: Names of layers that were asked for and have no weight beyond the threshold.
    """

    model: ir.Model
    layers: tuple[SplitLayer, ...]
    untouched: tuple[str, ...]

    @property
    def extra(self) -> Extra:
        """What all of it costs."""
        return sum((layer.extra for layer in self.layers), Extra(0, 0))


def split_layers(model: ir.Model, options: SplitOptions) -> SplitModel:
    """Split layers in two.

    Both parts, the Add and the layer's value go by the layer's name where options choose layers by name.

    Args:
        model: The canonical float model; not modified.
        options: Which layers, and how.

    Raises:
        RecipeError: A name or pattern matches no layer with constant weights.
    """
    result = model.clone()
    graph = result.graph
    forget_names(graph)
    layers = {node.name or "": node for node in graph if node.op_type in LAYERS and is_layer(node)}
    chosen = named_layers(map(as_float_node, layers.values()), options.interested_layers, "interested_layers")
    rng = np.random.default_rng(options.seed)
    done, untouched = [], []
    for name in chosen:
        weights = weights_of(layers[name])
        second = _shared_out(weights, options, rng)
        if second.any():
            done.append(_split(layers[name], weights, second))
        else:
            untouched.append(name)
    forget_names(graph)
    return SplitModel(result, tuple(done), tuple(untouched))


def is_layer(node: ir.Node) -> bool:
    """Whether a node has constant weights, and no bias or a constant one."""
    return len(node.inputs) > 1 and all(value is None or constant(value) is not None for value in node.inputs[1:])


def weights_of(node: ir.Node) -> Array:
    """The weights of a layer."""
    found = constant(node.inputs[1])
    assert found is not None
    return found


def macs(*nodes: ir.Node) -> int:
    """Multiply-accumulates of some nodes."""
    return sum(operators()[node.op_type].cost(as_float_node(node)).macs for node in nodes)


def plain_attributes(node: ir.Node) -> dict[str, Attribute]:
    """A node's attributes as plain values."""
    return {name: attribute.value for name, attribute in node.attributes.items()}


def _shared_out(weights: Array, options: SplitOptions, rng: np.random.Generator) -> Array:
    """What the second part gets."""
    large = np.abs(weights) > options.value_threshold
    share = rng.random(weights.shape) if options.method == "random" else 0.5
    return np.where(large, weights * share, 0).astype(np.float32)


def _split(node: ir.Node, weights: Array, second: Array) -> SplitLayer:
    graph, name, before, unfused = graph_of(node), node.name or "", macs(node), _fused(node)
    elements = {"part_1": (weights - second).astype(np.float32), "part_2": second}
    rest = {"part_1": node.inputs[2:], "part_2": ()}
    attributes, shape, stem = plain_attributes(node), shape_of(node.outputs[0]), present(node, 1).name
    with provenance.change(graph, node):
        results = []
        for part, array in elements.items():
            inputs = [node.inputs[0], add_constant(graph, array, f"{stem}.{part}"), *rest[part]]
            results.append(insert(node, node.op_type, inputs, shape, attributes, name=f"{name}.{part}"))
        total = swap(node, "Add", results)
        name_after(total, results[0], "sum")
    first, other = (_producer(value) for value in results)
    sizes = [float(np.abs(array).max()) for array in (weights, *elements.values())]
    return SplitLayer(
        name,
        other.name or "",
        total.name or "",
        int(np.count_nonzero(second)),
        (sizes[0], sizes[1], sizes[2]),
        Extra(macs(total, first, other) - before, int(weights.size)),
        unfused,
    )


def _fused(node: ir.Node) -> str:
    """The name of the activation that the chip computes inside a layer."""
    reader = only_user(node.outputs[0]) if operators()[node.op_type].fuses_relu else None
    known = reader is not None and reader.op_type in operators() and upper_bound(as_float_node(reader)) is not None
    return (reader.name or "") if reader is not None and known else ""


def _producer(value: ir.Value) -> ir.Node:
    """The node that computes a value which is neither an input nor a constant."""
    node = value.producer()
    assert node is not None
    return node
