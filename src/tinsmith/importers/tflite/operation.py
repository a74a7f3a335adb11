"""What the function for a TFLite operator gets to work with, and the table of these functions.

A function takes an `Operation` and returns the value, or the values, that the operator computes; its inputs and its
result have the file's shapes and order of dimensions (channels last). Transposes around operators that ONNX has
channels-first only are for `tinsmith.graph` to remove.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import onnx_ir as ir

from tinsmith.errors import UnsupportedError
from tinsmith.graph.edit import add_constant, fresh
from tinsmith.graph.ranges import Range
from tinsmith.importers.tflite.elements import dtype_of, is_quantized
from tinsmith.importers.tflite.file import Array, Operator, Tensor

Result = ir.Value | Sequence[ir.Value]
Translate = Callable[["Operation"], Result]
_LAYOUT = ("Transpose", "Reshape", "Cast")
"""What only prepares or finishes the work of another node."""
_TABLE: dict[str, Translate] = {}


class Scope(Protocol):
    """The graph that an operation becomes a part of."""

    @property
    def graph(self) -> ir.Graph:
        """Where constants go."""

    @property
    def tensors(self) -> Sequence[Tensor]:
        """By their index in the file."""

    def value(self, index: int) -> ir.Value:
        """The value of a tensor."""

    def elements(self, index: int) -> Array | None:
        """The elements of a constant as they are stored, None for a value that is computed."""

    def numbers(self, index: int) -> Array:
        """The elements of a constant, real numbers where they are quantized."""

    def body(self, index: int, name: str) -> ir.Graph:
        """Another graph of the file, translated."""


def operator(*kinds: str) -> Callable[[Translate], Translate]:
    """Registers the function for operators; their names are those of the schema."""

    def register(translate: Translate) -> Translate:
        for kind in kinds:
            assert kind not in _TABLE, kind
            _TABLE[kind] = translate
        return translate

    return register


def table() -> Mapping[str, Translate]:
    """The function of each operator that is known."""
    from tinsmith.importers.tflite import families

    families.load()
    return _TABLE


class Operation:
    """One operator of the file: its inputs and options, and the nodes it becomes.

    Attributes:
        kind: Name of the operator.
        name: Of its first result; nodes and constants are named after it.
        nodes: What it has become so far, in order.
        limits: The smallest and largest number that the first result takes, where an option says so.
    """

    def __init__(self, scope: Scope, operator: Operator, name: str) -> None:
        self.scope = scope
        self.operator = operator
        self.kind = operator.kind
        self.name = name
        self.nodes: list[ir.Node] = []
        self.limits: Range | None = None

    def __contains__(self, index: int) -> bool:
        """Whether input ``index`` is there."""
        return index < len(self.operator.inputs) and self.operator.inputs[index] >= 0

    def __len__(self) -> int:
        """The number of inputs."""
        return len(self.operator.inputs)

    def tensor(self, index: int) -> Tensor:
        """Input ``index`` as in the file.

        Raises:
            ValueError: It is absent.
        """
        if index not in self:
            raise ValueError(f"input {index} is absent")
        return self.scope.tensors[self.operator.inputs[index]]

    def result(self, index: int = 0) -> Tensor:
        """Output ``index`` as in the file."""
        return self.scope.tensors[self.operator.outputs[index]]

    def result_dtype(self) -> ir.DataType:
        """The type of the first output in ONNX."""
        return dtype_of(self.result())

    def note_range(self, low: float, high: float) -> None:
        """Says which numbers the first output takes."""
        self.limits = (float(low), float(high))

    def value(self, index: int = 0) -> ir.Value:
        """Input ``index``."""
        self.tensor(index)
        return self.scope.value(self.operator.inputs[index])

    def values(self) -> list[ir.Value]:
        """All inputs."""
        return [self.value(index) for index in range(len(self))]

    def shape(self, index: int = 0) -> tuple[int, ...]:
        """The shape of input ``index``, with 1 for open dimensions."""
        return self.tensor(index).shape

    def rank(self, index: int = 0) -> int:
        """The number of dimensions of input ``index``."""
        return len(self.shape(index))

    def is_open(self, index: int = 0) -> bool:
        """Whether a dimension other than the batch is not known."""
        return -1 in self.tensor(index).signature[1:]

    def is_constant(self, index: int) -> bool:
        """Whether input ``index`` is stored in the file."""
        return index in self and self.scope.elements(self.operator.inputs[index]) is not None

    def array(self, index: int) -> Array:
        """The elements of a constant: real numbers where they are quantized.

        Raises:
            UnsupportedError: It is computed.
        """
        self._stored(index)
        return self.scope.numbers(self.operator.inputs[index])

    def is_zero(self, index: int) -> bool:
        """Whether input ``index`` is a constant of zeros."""
        return self.is_constant(index) and not self.array(index).any()

    def ints(self, index: int) -> tuple[int, ...]:
        """The elements of a constant of plain integers.

        Raises:
            UnsupportedError: They are computed.
        """
        array = self._stored(index)
        if array.dtype.kind not in "iub":
            raise ValueError(f"input {index} is not made of integers")
        return tuple(int(element) for element in array.reshape(-1))

    def _stored(self, index: int) -> Array:
        tensor = self.tensor(index)
        array = self.scope.elements(self.operator.inputs[index])
        if array is None:
            raise UnsupportedError(
                f"its input {index} ({tensor.name!r}) is computed, not constant.",
                hint="Convert the model with static shapes.",
            )
        return array

    def wide(self, index: int) -> ir.Value:
        """Input ``index``, a list of integers, as ONNX wants those: of 64 bits, one dimension."""
        if self.is_constant(index):
            return self.ints_of(self.ints(index), f"ints_{index}")
        value = self.emit("Cast", self.value(index), to=ir.DataType.INT64)
        return value if self.rank(index) else self.emit("Reshape", value, self.ints_of((-1,), f"list_{index}"))

    def is_float(self, index: int = 0) -> bool:
        """Whether input ``index`` holds real numbers."""
        tensor = self.tensor(index)
        return tensor.type.startswith("FLOAT") or is_quantized(tensor)

    def option(self, name: str, default: Any = 0) -> Any:
        """An option by its name in the schema's generated class; the default where the operator has no options."""
        get = getattr(self.operator.options, name, None)
        return default if get is None else get()

    def option_ints(self, name: str) -> tuple[int, ...]:
        """A list of integers among the options."""
        if not self.option(f"{name}Length"):
            return ()
        return tuple(int(element) for element in np.asarray(self.option(f"{name}AsNumpy")))

    def constant(self, array: Array, what: str) -> ir.Value:
        """A new constant, named after the operation."""
        return add_constant(self.scope.graph, array, f"{self.name}/{what}")

    def ints_of(self, numbers: Sequence[int], what: str) -> ir.Value:
        """A list of integers as a new constant."""
        return self.constant(np.array(tuple(numbers), np.int64).reshape(-1), what)

    def number(self, number: float, what: str) -> ir.Value:
        """A real number as a new constant."""
        return self.constant(np.array(number, np.float32), what)

    def weights(self, index: int, perm: Sequence[int], drop: Sequence[int] = ()) -> ir.Value:
        """Input ``index`` with another order of dimensions; a constant stays one, with its name.

        Args:
            index: Which input.
            perm: The order.
            drop: Dimensions of length 1 to leave out afterwards.
        """
        if not self.is_constant(index):
            value = self.emit("Transpose", self.value(index), perm=tuple(perm))
            return self.emit("Squeeze", value, self.ints_of(drop, "rows")) if drop else value
        array = np.ascontiguousarray(self.array(index).transpose(perm).squeeze(tuple(drop)))
        return add_constant(self.scope.graph, array, self.tensor(index).name or f"{self.name}/weights")

    def emit(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """A node with one output."""
        return self.emit_several(op_type, inputs, 1, attributes)[0]

    def emit_several(
        self, op_type: str, inputs: Sequence[ir.Value | None], outputs: int, attributes: Mapping[str, Any]
    ) -> Sequence[ir.Value]:
        """A node with several outputs."""
        label = fresh(self.scope.graph, f"{self.name}/{op_type}")
        node = ir.node(op_type, inputs, attributes, num_outputs=outputs, name=label)
        for number, value in enumerate(node.outputs):
            value.name = label if not number else fresh(self.scope.graph, f"{label}_{number}")
        self.nodes.append(node)
        return node.outputs

    def transpose(self, value: ir.Value, *perm: int) -> ir.Value:
        """The value with another order of dimensions."""
        return self.emit("Transpose", value, perm=perm)

    def channels_first(self, value: ir.Value) -> ir.Value:
        """A picture, or a sequence, as ONNX's convolutions want it."""
        return self.transpose(value, 0, 2, 1) if self.lost_axis else self.transpose(value, 0, 3, 1, 2)

    def channels_last(self, value: ir.Value) -> ir.Value:
        """A picture, or a sequence, as TFLite has it."""
        return self.transpose(value, 0, 2, 1) if self.lost_axis else self.transpose(value, 0, 2, 3, 1)

    @property
    def lost_axis(self) -> int:
        """Which dimension of a picture a sequence does not have (`tinsmith.importers.tflite.sequences`); 0 for none."""
        return int(self.option("LostAxis", 0))

    def extent(self, rows: Any, columns: Any) -> tuple[Any, ...]:
        """A property of a window by dimension: of both, or of the one that there is."""
        return ((rows, columns), (columns,), (rows,))[self.lost_axis]

    def main(self) -> ir.Node:
        """The node that does the work and is named after the result."""
        return next((node for node in self.nodes if node.op_type not in _LAYOUT), self.nodes[-1])
