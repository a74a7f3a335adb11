"""GRU and LSTM (arithmetic §9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinsmith.ops.base import Operator, Reuse, Shape
from tinsmith.ops.call import Array, Call
from tinsmith.ops.floatmath import Float32, sigmoid, tanh
from tinsmith.ops.gates import GATE_HIGH, GATE_LOW, Dot, float_dot, gates_of, rounded
from tinsmith.ops.linear_work import recurrent
from tinsmith.ops.movers import refuse
from tinsmith.ops.recurrence import Layer, Recurrence, State, Step
from tinsmith.ops.recurrent_lower import CONSTRAINTS, cost, lower_gru, lower_lstm, recurrent_ports
from tinsmith.ops.values import power
from tinsmith.quant.rounding import qrange, wrap

_ONE = np.float32(1)


def _dots(node: Recurrence, layer: Layer) -> tuple[Dot, Dot]:
    """The products with the input and with the hidden state."""
    e_x, e_w, e_r = (node.call.arg(index).exponent for index in range(3))
    g, (_, e_h) = node.gate_exponent, node.state_exponents
    target = node.call.target
    return Dot.of(layer.w, g - (e_x + e_w), target), Dot.of(layer.r, g - (e_h + e_r), target)


def _wrapped(node: Recurrence, sums: Array) -> Array:
    """The sums as the int16 the runtime stores: without saturation."""
    kept = wrap(sums, 16)
    node.note_wraps(sums, kept)
    return kept


def _stored(node: Recurrence, v: Float32) -> Array:
    """sat(R(v)) to the width of the hidden state."""
    return rounded(v, node.call.target.rounding, *qrange(8 * node.call.arg(0).data.dtype.itemsize))


def gru_cell(node: Recurrence, layer: Layer) -> Step:
    """One step of a GRU in integers (arithmetic §9.4)."""
    product, recurrent = _dots(node, layer)
    gates, size, rounding = gates_of(node.gate_exponent), node.hidden, node.call.target.rounding
    unit = power(-node.state_exponents[0])
    inputs = _wrapped(node, product(node.x) + layer.wb)

    def step(t: int, state: State) -> State:
        h, a = state[0], inputs[t]
        b = _wrapped(node, recurrent(h) + layer.rb)
        both = gates.sigmoid[a[: 2 * size] + b[: 2 * size]]
        z, r = both[:size], both[size:]
        index = a[2 * size :].astype(np.float32) + r * b[2 * size :].astype(np.float32)
        n = gates.tanh[rounded(index, rounding, 2 * GATE_LOW, 2 * GATE_HIGH)]
        v = (_ONE - z) * n * unit + z * h.astype(np.float32)
        return _stored(node, v), state[1]

    return step


def lstm_cell(node: Recurrence, layer: Layer) -> Step:
    """One step of an LSTM in integers (arithmetic §9.5). The cell before it wraps is far below four times its range."""
    product, recurrent = _dots(node, layer)
    gates, rounding = gates_of(node.gate_exponent), node.call.target.rounding
    size, unit_h, unit_c = node.hidden, power(-node.state_exponents[0]), power(-node.gate_exponent)
    inputs, bias = product(node.x), layer.wb + layer.rb

    def step(t: int, state: State) -> State:
        a = _wrapped(node, inputs[t] + recurrent(state[0]) + bias)
        i, o, f = gates.sigmoid[a[: 3 * size]].reshape(3, size)
        v = f * state[1].astype(np.float32) + i * gates.tanh[a[3 * size :]] * unit_c
        c = _wrapped(node, rounded(v, rounding, 4 * GATE_LOW, 4 * GATE_HIGH))
        return _stored(node, o * gates.tanh[c] * unit_h), c

    return step


def float_gru_cell(node: Recurrence, layer: Layer) -> Step:
    """One step of a GRU in float32 (arithmetic §9.7)."""
    inputs, size = float_dot(layer.w, node.x) + layer.wb, node.hidden

    def step(t: int, state: State) -> State:
        a, b = inputs[t], float_dot(layer.r, state[0][None])[0] + layer.rb
        z, r = sigmoid(a[:size] + b[:size]), sigmoid(a[size : 2 * size] + b[size : 2 * size])
        n = tanh(a[2 * size :] + r * b[2 * size :])
        return (_ONE - z) * n + z * state[0], state[1]

    return step


def float_lstm_cell(node: Recurrence, layer: Layer) -> Step:
    """One step of an LSTM in float32 (arithmetic §9.7)."""
    inputs = float_dot(layer.w, node.x)

    def step(t: int, state: State) -> State:
        b = float_dot(layer.r, state[0][None])[0]
        i, o, f, g = np.split(inputs[t] + ((layer.wb + b) + layer.rb), 4)
        c = sigmoid(f) * state[1] + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c

    return step


def _gru(call: Call) -> Sequence[Array]:
    """Z, r, n gates; h ← (1 - z) · n + z · h."""
    if not call.attr("linear_before_reset", 0):
        raise refuse(call, "the runtime has GRU with linear_before_reset = 1 only.")
    node = Recurrence(call, 3)
    return _run(node, float_gru_cell if node.is_float else gru_cell)


def _lstm(call: Call) -> Sequence[Array]:
    """I, o, f, g gates; c ← f · c + i · g; h ← o · tanh(c)."""
    if call.attr("input_forget", 0):
        raise refuse(call, "the runtime has no LSTM with input_forget.")
    node = Recurrence(call, 4)
    cell = node.output(2)
    if not node.is_float and cell is not None and cell.exponent != node.gate_exponent:
        raise refuse(call, f"Y_c has exponent {cell.exponent}, and must have the gate exponent {node.gate_exponent}.")
    return _run(node, float_lstm_cell if node.is_float else lstm_cell)


def _run(node: Recurrence, cell: Callable[[Recurrence, Layer], Step]) -> Sequence[Array]:
    with np.errstate(all="ignore"):
        return node.run(cell)


def _shapes(gates: int) -> Callable[[Call], Sequence[Shape]]:
    return lambda call: Recurrence(call, gates).shapes()


# ---- limits of program nodes


def _outputs_named(call: Call) -> str | None:
    count = 2 if call.node.op_type == "GRU" else 3
    if len(call.node.outputs) < count or not all(call.node.outputs):
        return f"all {count} outputs need names, or the runtime looks for tensors that do not exist."
    return None


def _forward_only(call: Call) -> str | None:
    if call.attr("direction", "forward") == "reverse":
        return "direction reverse is executed as forward."
    return None


def _exponents_agree(call: Call) -> str | None:
    node = Recurrence(call, 4)
    first, last = call.optional(5), node.output(1)
    if node.is_float:
        return None
    if last is not None and node.state_exponents[0] != node.state_exponents[1]:
        return "Y and Y_h need one exponent."
    zero = first is None or (call.node.inputs[5] in call.constants and not first.data.any())
    if first is not None and not zero and first.exponent != node.state_exponents[1]:
        return f"the initial state has exponent {first.exponent}, Y_h {node.state_exponents[1]}."
    return None


def _cell_agrees(call: Call) -> str | None:
    node = Recurrence(call, 4)
    if node.is_float:
        return None
    found = {"the bias": call.optional(3), "the initial cell": call.optional(6)}
    for name, part in found.items():
        if part is not None and part.exponent != node.gate_exponent:
            return f"{name} has exponent {part.exponent}, needed is the gate exponent {node.gate_exponent}."
    return None


def _all_read(call: Call) -> str | None:
    """What the runtime leaves out of the definition of ONNX."""
    unread = {"sequence_lens": 4, "the peepholes P": 7}
    found = [name for name, index in unread.items() if index < len(call.node.inputs) and call.node.inputs[index]]
    found += ["clip"] if call.attr("clip", 0.0) else []
    return f"the runtime does not read {' and '.join(found)}." if found else None


def _dots_fit(call: Call) -> str | None:
    """The vector unit's dot products saturate at 40 bits, which is not modelled."""
    if call.arg(0).data.dtype != np.int16 or not call.target.simd:
        return None
    for index in (1, 2):
        weights = call.arg(index).data.astype(np.int64)
        reach = int(np.abs(weights).sum(axis=-1).max(initial=0)) << 15
        if call.node.inputs[index] in call.constants and reach >= 1 << 39:
            return (
                f"the dot products of input {index} can reach {reach} and saturate at 40 bits. Give the weights a "
                "larger exponent, or run it in int8."
            )
    return None


_RULES = (_outputs_named, _forward_only, _all_read, _dots_fit, _exponents_agree, _cell_agrees)

OPERATORS = (
    Operator(
        "GRU",
        _gru,
        shape=_shapes(3),
        ports=recurrent_ports,
        lower=lower_gru,
        constraints=CONSTRAINTS["GRU"],
        rules=_RULES,
        cost=cost,
        wraps=True,
        reuse=Reuse.NONE,
        work=recurrent,
    ),
    Operator(
        "LSTM",
        _lstm,
        shape=_shapes(4),
        ports=recurrent_ports,
        lower=lower_lstm,
        constraints=CONSTRAINTS["LSTM"],
        rules=_RULES,
        cost=cost,
        wraps=True,
        reuse=Reuse.NONE,
        work=recurrent,
    ),
)
