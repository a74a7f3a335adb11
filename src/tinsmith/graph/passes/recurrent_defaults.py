"""Drops what GRU, LSTM and RNN are given but have anyway.

- Inputs: initial states, biases and peepholes of zeros, and sequence lengths that span the whole sequence. Exact.
- Attributes at their defaults; `activations` that name the usual functions, in any spelling.
- `clip` of 16 and more: it bounds what goes into sigmoid and tanh, which differ from their limits there by 1.1e-7 and
  less. Equal up to float rounding.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    constant,
    each,
    get_float,
    get_int,
    get_string,
    input_of,
    leave_out,
    present,
    set_attributes,
    shape_of,
)

KINDS = ("GRU", "LSTM", "RNN")
"""The recurrent operators."""
USUAL = {"GRU": ("sigmoid", "tanh"), "LSTM": ("sigmoid", "tanh", "tanh"), "RNN": ("tanh",)}
"""The activations of one direction unless a node says otherwise, lower case."""
_BEYOND_REACH = 16.0


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, KINDS, _simplify)


def activations(node: ir.Node) -> tuple[str, ...]:
    """The activations of all directions, lower case."""
    given = node.attributes.get("activations")
    both = get_string(node, "direction", "forward") == "bidirectional"
    return USUAL[node.op_type] * (1 + both) if given is None else tuple(name.lower() for name in given.as_strings())


def _simplify(node: ir.Node) -> bool:
    steps = shape_of(present(node, 0))[get_int(node, "layout", 0)]
    changed = False
    for index, default in ((3, 0), (4, steps), (5, 0), (6, 0), (7, 0)):
        array = constant(input_of(node, index))
        if array is not None and np.all(array == default):
            changed |= leave_out(node, index, index + 1)
    both = get_string(node, "direction", "forward") == "bidirectional"
    if activations(node) == USUAL[node.op_type] * (1 + both):
        changed |= set_attributes(node, dict.fromkeys(("activations", "activation_alpha", "activation_beta")))
    clip = get_float(node, "clip", 0.0)
    if clip <= 0 or clip >= _BEYOND_REACH:
        changed |= set_attributes(node, {"clip": None})
    for name in ("layout", "input_forget"):
        if not get_int(node, name, 0):
            changed |= set_attributes(node, {name: None})
    if get_string(node, "direction", "forward") == "forward":
        changed |= set_attributes(node, {"direction": None})
    return changed
