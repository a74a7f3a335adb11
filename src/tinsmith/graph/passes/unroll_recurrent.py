"""Spells out recurrent layers of a kind the runtime does not have, step by step, up to 64 steps.

Matched: RNN with another activation than tanh; GRU with linear_before_reset = 0 (Keras: reset_after=False) or with
other activations than the usual; LSTM with other activations, with peepholes or with coupled input and forget gates;
any of them with `clip` below 6.3, where the runtime's tables of sigmoid end; with constant weights, a batch of 1, in
one direction or both. What the gates get from the input is one Gemm for all steps; every step is a Gemm (two where the
reset gate comes first) and the operators of the cell, by ONNX's formulas; `clip` bounds what goes into the gates, as in
ONNX Runtime. Equal up to float rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from tinsmith.graph.cellmaker import CELLS, Cell, Maker
from tinsmith.graph.edit import (
    Array,
    constant,
    drop_unused,
    each,
    get_float,
    get_int,
    get_string,
    graph_of,
    input_of,
    present,
    replace,
    shape_of,
)
from tinsmith.graph.passes.recurrent_defaults import KINDS, USUAL, activations

ENABLES: tuple[str, ...] = ("RNN",)
GATES_END = 6.3
"""The runtime's sigmoid is the same for everything beyond, its tanh from 3.5 on."""
MOST_STEPS = 64
"""Longer sequences would make graphs of thousands of nodes."""
_FUNCTIONS: dict[str, tuple[str, Mapping[str, float]]] = {
    "relu": ("Relu", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "hardsigmoid": ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    "leakyrelu": ("LeakyRelu", {"alpha": 0.01}),
    "elu": ("Elu", {"alpha": 1.0}),
    "softsign": ("Softsign", {}),
    "softplus": ("Softplus", {}),
}


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, KINDS, _unroll)


def _unroll(node: ir.Node) -> bool:
    functions, steps = _functions(node), shape_of(present(node, 0))[0]
    if functions is None or not _needed(node) or not _possible(node) or steps > MOST_STEPS:
        return False
    arrays = [constant(input_of(node, index)) for index in (1, 2, 3, 7)]
    directions = arrays[0].shape[0] if arrays[0] is not None else 0
    each_way = len(functions) // max(directions, 1)
    runs = [
        _run(node, direction, functions[direction * each_way : (direction + 1) * each_way], arrays)
        for direction in range(directions)
    ]
    make, graph = Maker(node), graph_of(node)
    for index, old in enumerate(node.outputs):
        if not old.uses() and not old.is_graph_output():
            continue
        if index == 0:
            parts = [make.concat([h for h, _ in states], 0) for states in runs]
        else:
            # The backward direction's last state is the one at the first step.
            parts = [states[direction - 1][index - 1] for direction, states in enumerate(runs)]
        replace(old, make.reshape(make.concat(parts, 1), shape_of(old)), keep_name=True)
    for value in tuple(graph.initializers.values()):
        drop_unused(value)
    return True


def _needed(node: ir.Node) -> bool:
    """Whether the runtime cannot run the layer as it is, nor as the GRU that `simple_rnn` makes of it."""
    usual, given = USUAL[node.op_type], activations(node)
    if node.op_type == "GRU" and not get_int(node, "linear_before_reset", 0):
        return True
    clip = get_float(node, "clip", 0.0)
    if clip > 0 and (clip < GATES_END or node.op_type == "RNN"):
        return True
    coupled = node.op_type == "LSTM" and (get_int(node, "input_forget", 0) or input_of(node, 7) is not None)
    return bool(coupled) or given != usual * (len(given) // len(usual))


def _possible(node: ir.Node) -> bool:
    forward = get_string(node, "direction", "forward") in ("forward", "bidirectional")
    known = all(constant(value) is not None for i in (1, 2, 3, 7) if (value := input_of(node, i)) is not None)
    single = not get_int(node, "layout", 0) and shape_of(present(node, 0))[1] == 1
    return forward and known and single and input_of(node, 4) is None


def _functions(node: ir.Node) -> tuple[tuple[str, dict[str, float]], ...] | None:
    """The activations with their attributes: ONNX hands out alphas and betas in order to those that have one."""
    left = {
        name: list(given.as_floats()) if (given := node.attributes.get(f"activation_{name}")) is not None else []
        for name in ("alpha", "beta")
    }
    found: list[tuple[str, dict[str, float]]] = []
    for name in activations(node):
        if name not in _FUNCTIONS:
            return None
        op_type, defaults = _FUNCTIONS[name]
        found.append((op_type, {key: left[key].pop(0) if left[key] else value for key, value in defaults.items()}))
    return tuple(found)


def _run(
    node: ir.Node,
    direction: int,
    functions: Sequence[tuple[str, dict[str, float]]],
    arrays: Sequence[Array | None],
) -> list[tuple[ir.Value, ir.Value]]:
    """The states (h, c) of one direction after each step, (1, H) each, in the order of time; c is h but in LSTMs."""
    w, r, bias, peepholes = (None if array is None else array[direction] for array in arrays)
    assert w is not None
    assert r is not None
    rows, hidden = r.shape
    bias = np.zeros(2 * rows, np.float32) if bias is None else bias
    cell = Cell(
        Maker(node),
        tuple(functions),
        hidden,
        r,
        bias[rows:],
        None if peepholes is None else peepholes.reshape(3, hidden),
        get_float(node, "clip", 0.0),
        coupled=bool(get_int(node, "input_forget", 0)),
        reset_after=bool(get_int(node, "linear_before_reset", 0)),
    )
    make, (steps, _, size) = cell.make, shape_of(present(node, 0))
    flat = make.reshape(present(node, 0), (steps, size))
    gates = make.split(make.gemm(flat, w.T, bias[:rows]), steps, 0)
    h, c = (make.start(input_of(node, index), direction, hidden) for index in (5, 6))
    found: list[tuple[ir.Value, ir.Value]] = []
    for step in gates if direction == 0 else reversed(gates):
        h, c = CELLS[node.op_type](cell, step, h, c)
        found.append((h, c))
    return found if direction == 0 else found[::-1]
