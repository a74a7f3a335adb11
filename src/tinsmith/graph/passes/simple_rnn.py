"""Simple recurrent layers with tanh (RNN) as GRU.

A GRU whose update gate stays shut and whose reset gate stays open computes tanh(W x + b + (R h + c)): biases of -20 and
20 give sigmoids of 2e-9 and 1 - 2e-9. Equal up to float rounding. On the chip the gates stop at 0.0018 and 0.9982,
which moves the state by up to half a percent in each step: no more than int8 rounds, more than int16 does.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph import provenance
from tinsmith.graph.edit import (
    Array,
    add_constant,
    constant,
    discard,
    each,
    get_float,
    get_string,
    graph_of,
    input_of,
    present,
)
from tinsmith.graph.passes.recurrent_defaults import USUAL, activations

ENABLES: tuple[str, ...] = ("RNN",)
_FAR = 20.0


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("RNN",), _as_gru)


def _as_gru(node: ir.Node) -> bool:
    w, r = constant(present(node, 1)), constant(present(node, 2))
    bias = constant(input_of(node, 3))
    usual = set(activations(node)) == set(USUAL["RNN"])
    if w is None or r is None or (bias is None and input_of(node, 3) is not None) or not usual:
        return False
    if get_float(node, "clip", 0.0) > 0:
        return False
    directions, hidden, _ = w.shape
    bias = np.zeros((directions, 2 * hidden), np.float32) if bias is None else bias
    shut, opened = (np.full((directions, hidden), far, np.float32) for far in (-_FAR, _FAR))
    nothing = np.zeros((directions, 2 * hidden), np.float32)
    biases = np.concatenate([shut, opened, bias[:, :hidden], nothing, bias[:, hidden:]], axis=1)
    arrays = {"W": _last_gate(w), "R": _last_gate(r), "B": biases}
    constants = [add_constant(graph_of(node), array, f"{node.name}.{name}") for name, array in arrays.items()]
    attributes = [ir.AttrInt64("hidden_size", hidden), ir.AttrInt64("linear_before_reset", 1)]
    attributes += [ir.AttrString("direction", get_string(node, "direction", "forward"))]
    attributes += [value for name, value in node.attributes.items() if name == "layout"]
    inputs = [node.inputs[0], *constants, *node.inputs[4:]]
    put_in_place(node, ir.Node("", "GRU", inputs, attributes, num_outputs=len(node.outputs), name=node.name))
    return True


def _last_gate(weights: Array) -> Array:
    """(D, H, n) as the third gate of (D, 3 · H, n)."""
    nothing = np.zeros_like(weights)
    return np.concatenate([nothing, nothing, weights], axis=1)


def put_in_place(node: ir.Node, new: ir.Node) -> None:
    """Puts a new node in the place of one with the same outputs."""
    graph = graph_of(node)
    graph.insert_before(node, new)
    provenance.swapped(graph, node, new)
    for old, output in zip(node.outputs, new.outputs, strict=True):
        output.name, output.shape, output.type = old.name, old.shape, old.type
        old.replace_all_uses_with(output, replace_graph_outputs=True)
    discard(node)
