"""Recurrent layers that process a whole sequence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from tflite import ActivationFunctionType as Activation

from tinsmith.errors import UnsupportedError
from tinsmith.importers.tflite.elements import is_quantized
from tinsmith.importers.tflite.file import Array
from tinsmith.importers.tflite.operation import Operation, operator

_FUNCTIONS = {Activation.TANH: "Tanh", Activation.RELU: "Relu"}
_GATES = (0, 3, 1, 2)
"""TFLite has input, forget, cell, output; ONNX has input, output, forget, cell."""
_PEEPHOLES = (0, 2, 1)
"""TFLite has input, forget, output; ONNX has input, output, forget."""
_NO_EFFECT = 10.0
"""A cell beyond it gives ±1 in float32, whatever it is; converters write this limit for layers that have none."""
_STATE = "Convert the model so that it processes a whole sequence from a state of zeros."


@operator("UNIDIRECTIONAL_SEQUENCE_LSTM")
def lstm(op: Operation) -> ir.Value:
    """Inputs: sequence, 4 weights, 4 recurrent weights, 3 peepholes, 4 biases, projection, states, normalization."""
    _refuse(op, range(16, 18), "a projection")
    _refuse(op, range(20, 24), "layer normalization")
    _refuse_state(op, (18, 19))
    if 0 < op.option("CellClip", 0.0) < _NO_EFFECT or (op.option("ProjClip", 0.0) and 16 in op):
        raise UnsupportedError("its cells are cut off.", hint="Convert the model without that.")
    coupled = 1 not in op
    if coupled:
        raise UnsupportedError("its input gate is one minus its forget gate.", hint="Convert the model without that.")
    weights, recurrent = _stacked(op, (1, 2, 3, 4)), _stacked(op, (5, 6, 7, 8))
    units = recurrent.shape[1]
    biases = [_bias(op, 12 + gate, units) for gate in _GATES]
    inputs = {
        "weights": weights[None],
        "recurrent": recurrent[None],
        "bias": np.concatenate([*biases, np.zeros(4 * units, np.float32)])[None],
    }
    constants: list[ir.Value | None] = [op.constant(array, what) for what, array in inputs.items()]
    if 9 in op or 10 in op:
        peepholes = [_bias(op, 9 + gate, units) for gate in _PEEPHOLES]
        constants += [None, None, None, op.constant(np.concatenate(peepholes)[None], "peepholes")]
    functions = ("Sigmoid", *(_function(op, Activation.TANH),) * 2)
    return _sequence(op, "LSTM", constants, {"hidden_size": units, "activations": functions})


@operator("UNIDIRECTIONAL_SEQUENCE_RNN")
def rnn(op: Operation) -> ir.Value:
    """Inputs: sequence, weights, recurrent weights, bias, state."""
    _refuse_state(op, (4,))
    units = op.shape(2)[0]
    bias = np.concatenate([_bias(op, 3, units), np.zeros(units, np.float32)])
    arrays = {"weights": op.array(1)[None], "recurrent": op.array(2)[None], "bias": bias[None]}
    constants = [op.constant(array, what) for what, array in arrays.items()]
    return _sequence(op, "RNN", constants, {"hidden_size": units, "activations": (_function(op, Activation.NONE),)})


def _sequence(
    op: Operation, op_type: str, constants: Sequence[ir.Value | None], attributes: dict[str, object]
) -> ir.Value:
    """The layer between ONNX's order (step, sample, feature) and the file's."""
    steps_first = bool(op.option("TimeMajor", False))
    value = op.value() if steps_first else op.transpose(op.value(), 1, 0, 2)
    results = op.emit_several(op_type, [value, *constants], 1, attributes)
    value = op.emit("Squeeze", results[0], op.ints_of((1,), "direction"))
    return value if steps_first else op.transpose(value, 1, 0, 2)


def _function(op: Operation, default: int) -> str:
    kind = op.option("FusedActivationFunction", default)
    if kind not in _FUNCTIONS:
        raise UnsupportedError(f"its activation is number {kind}.", hint="Convert the model with tanh.")
    return _FUNCTIONS[kind]


def _stacked(op: Operation, indices: Sequence[int]) -> Array:
    return np.concatenate([op.array(indices[gate]) for gate in _GATES])


def _bias(op: Operation, index: int, units: int) -> Array:
    """A vector; zeros where it is absent."""
    if index not in op:
        return np.zeros(units, np.float32)
    if op.tensor(index).type.startswith("INT") and not is_quantized(op.tensor(index)):
        raise UnsupportedError(f"its input {index} has no scale.", hint="Give the float model.")
    return op.array(index).astype(np.float32)


def _refuse(op: Operation, indices: range, what: str) -> None:
    if any(index in op for index in indices):
        raise UnsupportedError(f"it has {what}.", hint="Convert the model without that.")


def _refuse_state(op: Operation, indices: Sequence[int]) -> None:
    """A state that comes from elsewhere; the variables that hold it between two runs are zeros at first."""
    for index in indices:
        if index in op and not op.tensor(index).variable and not op.is_zero(index):
            raise UnsupportedError("it starts in a state that is computed.", hint=_STATE)
