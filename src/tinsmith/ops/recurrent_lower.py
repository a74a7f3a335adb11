"""GRU and LSTM of float networks: formats, limits, lowering (arithmetic §9.1, file format §4 rule 5)."""

from __future__ import annotations

from tinsmith.ops.base import Constraint, Cost, constraint
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.lowering import Lowering
from tinsmith.ops.ports import ACTIVATION, RAW, Kind, Port, Ports
from tinsmith.program import Attribute, DType
from tinsmith.targets import Target

GATE_EXPONENT = -9
"""Exponent of gate sums, biases and the LSTM's cell in the files we write: gates up to ±64 in steps of 1/512."""
GATE = Port(Kind.ACTIVATION, bits=16, exponent=GATE_EXPONENT)
_GATES = {"GRU": 3, "LSTM": 4}
_OUTPUTS = {"GRU": 2, "LSTM": 3}
_ACTIVATIONS = {"GRU": ("sigmoid", "tanh"), "LSTM": ("sigmoid", "tanh", "tanh")}
_GATES_END = 6.3


def recurrent_ports(node: FloatNode, target: Target) -> Ports:
    """X, W and R have formats of their own, Y and Y_h share one with the initial state; the rest is in gate units.

    The tie to input 5 stands even where there is none: it is what makes Y and Y_h share their exponent.
    """
    roles = (ACTIVATION, ACTIVATION, ACTIVATION, GATE, RAW, ACTIVATION, GATE, GATE)
    return Ports(roles[: len(node.inputs)], (ACTIVATION, ACTIVATION, GATE)[: len(node.outputs)], tied=(5,))


def _directions(node: FloatNode) -> int:
    return 2 if node.text("direction", "forward") == "bidirectional" else 1


def _hidden(node: FloatNode) -> int:
    return node.input(2).shape[-1]


def cost(node: FloatNode) -> Cost:
    """One multiply-accumulate for each weight and step."""
    steps, inputs = node.input(0).shape[0], node.input(0).shape[-1]
    rows = _directions(node) * _GATES[node.op_type] * _hidden(node)
    return Cost(steps * rows * (inputs + _hidden(node)), "rnn")


def _lower(call: Lowering, attributes: dict[str, Attribute]) -> None:
    """One node; every output gets a name, for the runtime looks for all of them."""
    node = call.node
    names = [call.name(index) for index in range(min(len(call.inputs), 7))]
    outputs = _outputs(call)
    attributes["hidden_size"] = _hidden(node)
    if _directions(node) == 2:
        attributes["direction"] = "bidirectional"
    if call.quant_type != "F32":
        attributes["gate_exponent"] = GATE_EXPONENT
    if len(names) > 4:
        names[4] = ""
    while not names[-1]:
        names.pop()
    call.emit(names, outputs, attributes=attributes)


def lower_gru(call: Lowering) -> None:
    """GRU, with the one order of reset and product that the runtime has."""
    _lower(call, {"linear_before_reset": 1})


def lower_lstm(call: Lowering) -> None:
    """LSTM."""
    _lower(call, {})


def _outputs(call: Lowering) -> list[str]:
    names = [slot.name for slot in call.outputs]
    last = (_directions(call.node), 1, _hidden(call.node))
    for index, suffix in ((1, "Y_h"), (2, "Y_c")):
        if index < _OUTPUTS[call.node.op_type] and len(names) == index:
            names.append(_value(call, suffix, last, cell=index == 2))
    return names


def _value(call: Lowering, suffix: str, shape: tuple[int, ...], *, cell: bool = False) -> str:
    like = call.outputs[0]
    name = f"{call.node.name}_{suffix}"
    if cell and call.quant_type != "F32":
        return call.sink.add_value(name, DType.INT16, shape, (GATE_EXPONENT,))
    return call.sink.add_value(name, like.dtype, shape, like.exponents)


# ---- limits


def _single(node: FloatNode, target: Target) -> bool:
    """The runtime walks through one sequence only, with time first: the batch must be 1 and `layout` 0.

    Export it so; Transpose an input whose batch is first.
    """
    return node.integer("layout", 0) == 0 and node.input(0).rank == 3 and node.input(0).shape[1] == 1


def _whole(node: FloatNode, target: Target) -> bool:
    """The runtime does not read `sequence_lens`: every sequence is as long as the input.

    Constant lengths become a Slice; for others cut the input before the network, or export without lengths.
    """
    return not node.has(4)


def _forward(node: FloatNode, target: Target) -> bool:
    """The runtime walks forward where `direction` is reverse. Reverse the input, and the output again."""
    return node.text("direction", "forward") in ("forward", "bidirectional")


def _no_peepholes(node: FloatNode, target: Target) -> bool:
    """The runtime has no peepholes (input P), and only up to 64 steps are spelled out. Train the LSTM without them."""
    return not node.has(7)


def _no_clip(node: FloatNode, target: Target) -> bool:
    """The runtime does not read `clip`; its gates end at 6.3, and only up to 64 steps are spelled out.

    Train the network without it, or set it to 6.3 or more.
    """
    clip = node.real("clip", 0.0)
    return clip <= 0 or clip >= _GATES_END


def _usual_activations(node: FloatNode, target: Target) -> bool:
    """The runtime has the usual activations only, sigmoid for the gates and tanh for the rest.

    Up to 64 steps are spelled out with most others. Train longer ones with the usual.
    """
    usual = _ACTIVATIONS[node.op_type] * _directions(node)
    given = node.attributes.get("activations", usual)
    return isinstance(given, tuple) and tuple(str(name).lower() for name in given) == usual


def _constant_weights(node: FloatNode, target: Target) -> bool:
    """Weights and biases must be constants of the model. Freeze or fold them before the export."""
    return all(node.const(index) is not None for index in (1, 2, 3) if node.has(index))


def _reset_after(node: FloatNode, target: Target) -> bool:
    """The runtime has GRU with linear_before_reset = 1 only, and only up to 64 steps are spelled out.

    Train it in PyTorch, or in Keras with reset_after=True.
    """
    return node.integer("linear_before_reset", 0) == 1


def _separate_forget(node: FloatNode, target: Target) -> bool:
    """The runtime has no coupled input and forget gates (input_forget = 1), and only up to 64 steps are spelled out.

    Train the LSTM with separate ones.
    """
    return node.integer("input_forget", 0) == 0


_COMMON = (_single, _whole, _forward, _no_clip, _usual_activations, _constant_weights)
CONSTRAINTS: dict[str, tuple[Constraint, ...]] = {
    "GRU": tuple(constraint(check) for check in (*_COMMON, _reset_after)),
    "LSTM": tuple(constraint(check) for check in (*_COMMON, _separate_forget, _no_peepholes)),
}
