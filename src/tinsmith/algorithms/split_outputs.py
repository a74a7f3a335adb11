"""Layers in parts: one whose weights are larger than the cache becomes several with a part of the output channels each.

ESP-DL's kernels read a layer's weights from the first to the last byte for every output position (docs/latency.md).
Those of a part stay in the cache; a Concat puts the channels together again. No product and no sum changes, and where
all weights of a layer share an exponent, each part gets its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import onnx_ir as ir

from tinsmith.algorithms.split_layers import is_layer, plain_attributes, weights_of
from tinsmith.estimate.parts import filters_of_parts, saved_by_parts
from tinsmith.estimate.work import NodeWork, works
from tinsmith.graph import provenance
from tinsmith.graph.edit import (
    Array,
    add_constant,
    constant,
    forget_names,
    fresh,
    graph_of,
    input_of,
    insert,
    only_user,
    present,
    swap,
)
from tinsmith.graph.network import as_float_node
from tinsmith.graph.ranges import attach, ranges_of
from tinsmith.lower import lower
from tinsmith.ops import operators
from tinsmith.ops.floatnode import FloatNode, Network, Operand
from tinsmith.ops.passage import Weighted
from tinsmith.ops.steps import upper_bound
from tinsmith.quant.format import Format, Formats
from tinsmith.targets import Target

LAYERS = ("Conv", "Gemm", "MatMul")
"""What is split: weights are input 1, a bias is input 2."""


@dataclass(frozen=True, slots=True)
class PartedLayer:
    """A layer that became several.

    Attributes:
        layer: Its name, which no node has any more; all of them go by it where options choose layers by name.
        parts: The names of the layers in its place.
        filters: How many output channels each of these computes.
        activations: The names of the copies of the Relu or Clip behind it, one for each part; empty where none is.
        concat: The name of the Concat, which computes the value that the layer, or its activation, computed.
        saved_ms: The time this saves: on one core, on two. Estimated, with the parameters in PSRAM.
    """

    layer: str
    parts: tuple[str, ...]
    filters: tuple[int, ...]
    activations: tuple[str, ...]
    concat: str
    saved_ms: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class PartedModel:
    """A model with layers in parts.

    Attributes:
        model: Canonical, the same function.
        layers: What was done, in the order of the graph.
    """

    model: ir.Model
    layers: tuple[PartedLayer, ...]


def split_outputs(model: ir.Model, widths: Mapping[str, int], target: Target) -> PartedModel:
    """Split the layers whose weights do not stay in the cache, where that saves time on one core and costs none on two.

    A layer becomes as few parts as fit. Depthwise layers, and those that are executed once, are never split.

    Args:
        model: The canonical float model; not modified.
        widths: Width of each node by name, 32 for float.
        target: A chip that `tinsmith.estimate.latency.no_model` knows.
    """
    result = model.clone()
    forget_names(result.graph)
    whole: dict[str, str] = {}
    found = [
        _split(node, filters, saved, whole)
        for node in tuple(result.graph)
        for filters, saved in _worth_it(node, widths.get(node.name or "", 32), target)
    ]
    forget_names(result.graph)
    ranges = ranges_of(model)
    attach(result, {part: ranges[name] for part, name in whole.items() if name in ranges})
    return PartedModel(result, tuple(found))


def _worth_it(node: ir.Node, bits: int, target: Target) -> Iterator[tuple[tuple[int, ...], tuple[float, float]]]:
    """How to split a node, and what that saves; nothing where it should not be."""
    if node.op_type not in LAYERS or bits == 32 or not is_layer(node):
        return
    known = as_float_node(node)
    axes = _axes(known)
    if axes is None or axes.columns is None:
        return
    work = _work(known, bits, target)
    filters = filters_of_parts(work, target)
    if filters and sum(filters) == known.input(1).shape[axes.rows]:
        saved = saved_by_parts(work, len(filters), target)
        if saved[0] > 0 and saved[1] >= 0:
            yield filters, saved


def _axes(node: FloatNode) -> Weighted | None:
    found = operators()[node.op_type].passage(node)
    return found if isinstance(found, Weighted) else None


def _work(node: FloatNode, bits: int, target: Target) -> NodeWork:
    """What a layer makes the chip do, on its own: shapes decide, and zeros take the place of its weights."""
    source, weights = node.input(0), node.input(1)
    source = Operand(f"{node.name}.x", source.shape, source.dtype)
    zeros = Operand(f"{node.name}.w", weights.shape, weights.dtype, np.zeros(weights.shape, weights.dtype))
    alone = Network((replace(node, inputs=(source, zeros)),), (source,), node.outputs)
    plain = Format(bits, (0,))
    formats = Formats({operand.name: plain for operand in (source, zeros, *node.outputs)})
    program = lower(alone, formats, {node.name: bits}, target).program
    return max(works(program, target), key=lambda work: work.macs)


def _split(node: ir.Node, filters: Sequence[int], saved: tuple[float, float], whole: dict[str, str]) -> PartedLayer:
    """Puts the parts in the place of a layer; notes in ``whole``, by a part's value, the value that it is a part of."""
    graph, name, activation = graph_of(node), node.name or "", _fused(node)
    last = node if activation is None else activation
    known = as_float_node(node)
    axes = _axes(known)
    assert axes is not None
    channel = axes.channels % known.outputs[0].rank
    weights = np.split(weights_of(node), list(accumulate(filters))[:-1], axis=axes.rows)
    results, parts, copies = [], [], []
    for number, (count, elements) in enumerate(zip(filters, weights, strict=True), 1):
        shape = tuple(count if axis == channel else n for axis, n in enumerate(known.outputs[0].shape))
        label, stem = f"{name}_part{number}", present(node, 1).name
        inputs = [node.inputs[0], add_constant(graph, np.ascontiguousarray(elements), f"{stem}_part{number}")]
        inputs += _bias(node, number, filters)
        with provenance.change(graph, node):
            value = insert(last, node.op_type, inputs, shape, plain_attributes(node), name=label)
        whole[value.name or ""] = node.outputs[0].name or ""
        parts.append(_maker(value))
        if activation is not None:
            label, bounds = f"{activation.name}_part{number}", activation.inputs[1:]
            with provenance.change(graph, activation):
                value = insert(activation, activation.op_type, [value, *bounds], shape, name=label)
            whole[value.name or ""] = activation.outputs[0].name or ""
            copies.append(_maker(value))
        results.append(value)
    with provenance.change(graph, last):
        concat = swap(last, "Concat", results, {"axis": channel})
    concat.name = fresh(graph, f"{name}_concat")
    return PartedLayer(name, tuple(parts), tuple(filters), tuple(copies), concat.name, saved)


def _fused(node: ir.Node) -> ir.Node | None:
    """The activation that the chip may compute inside a layer."""
    reader = only_user(node.outputs[0]) if operators()[node.op_type].fuses_relu else None
    if reader is None or reader.op_type not in operators():
        return None
    return reader if upper_bound(as_float_node(reader)) is not None else None


def _bias(node: ir.Node, number: int, filters: Sequence[int]) -> list[ir.Value]:
    """The part of the bias, as an input; none where there is none."""
    value = input_of(node, 2)
    elements = constant(value)
    if value is None or elements is None:
        return []
    every: Array = np.broadcast_to(elements.reshape(-1), (sum(filters),))
    end = sum(filters[:number])
    return [add_constant(graph_of(node), every[end - filters[number - 1] : end].copy(), f"{value.name}_part{number}")]


def _maker(value: ir.Value) -> str:
    """The name of the node that computes a value."""
    node = value.producer()
    assert node is not None
    return node.name or ""
