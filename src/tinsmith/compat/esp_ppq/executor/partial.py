"""A part of a quantized graph, run from values inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinsmith.calibrate.inputs import as_array
from tinsmith.compat.esp_ppq.IR.base.graph import Array, BaseGraph
from tinsmith.compat.esp_ppq.values import Place, Values
from tinsmith.errors import DataError, ProgramError
from tinsmith.program import Node, Program
from tinsmith.simulator.interpreter import run_nodes
from tinsmith.targets import Target


def run_part(graph: BaseGraph, feed_dict: Mapping[str, Any], names: Sequence[str]) -> list[Array]:
    """Run the nodes that lead from some values to others.

    Args:
        graph: Quantized.
        feed_dict: Real numbers by value name, ONNX order, a sample or a batch.
        names: The values wanted.

    Raises:
        ProgramError: The graph is not quantized.
        DataError: A value is missing, has a wrong shape, or is none of the graph.
    """
    program, target = graph.program, graph.target
    if program is None or target is None:
        raise ProgramError("is not quantized.", subject="graph", hint="Use forward with output_names.")
    values = Values.of(graph)
    fed = {name: values.home(name) for name in feed_dict}
    rows = {name: _rows(as_array(array, f"input {name!r}"), fed[name], name) for name, array in feed_dict.items()}
    counts = {len(found) for found in rows.values()}
    if len(counts) != 1:
        raise DataError("hold different numbers of samples.", subject="feed_dict")
    roots = [values.home(name).root for name in names]
    nodes = _needed(program, {place.root for place in fed.values()}, roots)
    found: list[dict[str, Array]] = []
    for row in range(counts.pop()):
        tensors = {fed[name].root: _laid_out(rows[name][row], fed[name], program, target) for name in fed}
        run_nodes(program, nodes, tensors, target, {}, {})
        found.append({root: tensors[root] for root in roots})
    joined = {root: np.stack([one[root] for one in found]) for root in roots}
    return [values.real(name, joined[values.home(name).root], len(found)) for name in names]


def _rows(array: Array, place: Place, name: str) -> Array:
    size = int(np.prod(place.shape))
    if array.shape[1:] != place.shape[1:] or size == 0 or array.size % size:
        raise DataError(f"has shape {array.shape}, the graph {place.shape}.", subject=f"value {name!r}")
    return array.reshape(-1, *place.shape)


def _laid_out(array: Array, place: Place, program: Program, target: Target) -> Array:
    value, turned = program.values[place.root], array.transpose(place.perm)
    if value.dtype.quantized:
        return target.rounding.quantize(turned.astype(np.float64), value.exponent, value.dtype.bits)
    return np.ascontiguousarray(turned.astype(value.dtype.numpy))


def _needed(program: Program, fed: set[str], wanted: Sequence[str]) -> list[Node]:
    """The nodes between, in order.

    Raises:
        DataError: An input of the network is needed and not fed.
    """
    makers = {output: node for node in program.nodes for output in node.outputs}
    pending, chosen = [name for name in wanted if name not in fed], set[str]()
    while pending:
        name = pending.pop()
        if name not in makers:
            raise DataError("is needed, and not in feed_dict.", subject=f"value {name!r}")
        node = makers[name]
        if node.name not in chosen:
            chosen.add(node.name)
            pending += [i for i in node.inputs if i and i not in program.constants and i not in fed]
    return [node for node in program.nodes if node.name in chosen]
