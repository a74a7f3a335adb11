"""What is in a `.tflite` file: tensors, operators and graphs, as frozen values that have been checked.

The tables are read by the classes that flatc generated from TensorFlow's schema (the package ``tflite``). Those believe
every offset and length, so nothing here trusts what they give: the number of elements read is bounded by the size of
the file, indices are checked, and what they trip over becomes one error.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from tinsmith.errors import ModelError

Array = NDArray[Any]
IDENTIFIER = b"TFL3"
_LARGEST_RANK = 8  # of the reference runtime
_CUSTOM = tflite.BuiltinOperator.CUSTOM
_SCHEMA_VERSION = 3
_DAMAGED = "Check that the download or export is complete."
_READING = (struct.error, ValueError, TypeError, IndexError, OverflowError, AttributeError)
"""What the generated classes and numpy raise for offsets and lengths that lead out of the file."""


def _names(table: type) -> Mapping[int, str]:
    return MappingProxyType({value: name for name, value in vars(table).items() if isinstance(value, int)})


OPERATORS = _names(tflite.BuiltinOperator)
TYPES = _names(tflite.TensorType)
_OPTIONS = _names(tflite.BuiltinOptions)


@dataclass(frozen=True, slots=True, eq=False)
class Quantization:
    """What the integers of a tensor stand for: ``real = (integer - zero) * scale``.

    Attributes:
        scale: float32, one number or one per element of `axis`.
        zero: int64, as many.
        axis: The axis that several scales belong to.
    """

    scale: Array
    zero: Array
    axis: int


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A value of a graph.

    Attributes:
        name: As in the file; may be empty or not unique.
        shape: Where dimensions are open, what the file has in their place (1, mostly).
        signature: The shape with -1 where a dimension is open.
        type: Name of the element type, as in the schema.
        data: The bytes of a constant (uint8), None for anything else.
        quantization: None for real numbers and for plain integers.
        variable: Whether it keeps its elements between two runs.
        sparse: Whether a constant is stored without its zeros.
    """

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    type: str
    data: Array | None
    quantization: Quantization | None
    variable: bool
    sparse: bool


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """A step of a graph.

    Attributes:
        kind: Name of a built-in operator, as in the schema; ``CUSTOM:`` and its name for a custom one.
        inputs: Indices of tensors, -1 for an absent one.
        outputs: Indices of tensors.
        options: The generated class of its options, None where it has none.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A graph: the model's, or a branch or loop body.

    Attributes:
        name: May be empty.
        tensors: All its values.
        operators: In the order in which they run.
        inputs: Indices of tensors.
        outputs: Indices of tensors.
    """

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def readers(self) -> dict[int, list[int]]:
        """The places of the operators that read each tensor, by its index; -1 stands for an output of the graph."""
        found = {index: [-1] for index in self.outputs}
        for place, operator in enumerate(self.operators):
            for index in operator.inputs:
                found.setdefault(index, []).append(place)
        return found


def read(data: bytes, subject: str) -> tuple[Graph, ...]:
    """The graphs of a file, the model's first.

    Args:
        data: The whole file.
        subject: What to call it in errors.

    Raises:
        ModelError: It is not a TensorFlow Lite model, or damaged.
    """
    if not data:
        raise ModelError("the file is empty.", subject=subject)
    if data[4:8] != IDENTIFIER:
        raise ModelError("this is not a TensorFlow Lite model, or it is cut off.", subject=subject, hint=_DAMAGED)
    with understood(subject):
        return _Reader(data, subject).graphs()


@contextmanager
def understood(subject: str) -> Iterator[None]:
    """Turns what reading a damaged file raises into our error."""
    try:
        yield
    except _READING as error:
        raise ModelError(f"the file is damaged: {error}.", subject=subject, hint=_DAMAGED) from error


class _Reader:
    """One pass over a file; counts what it reads, since many tables may lie on top of each other."""

    def __init__(self, data: bytes, subject: str) -> None:
        self.data = data
        self.subject = subject
        self.left = 2 * len(data)  # texts and empty vectors may be shared

    def graphs(self) -> tuple[Graph, ...]:
        model = tflite.Model.GetRootAs(self.data, 0)
        if model.Version() != _SCHEMA_VERSION:
            raise ModelError(
                f"version {model.Version()} of the format is not known.", subject=self.subject, hint=_DAMAGED
            )
        kinds = [self._kind(code) for code in self._each(model.OperatorCodesLength(), model.OperatorCodes)]
        buffers = [self._bytes(buffer) for buffer in self._each(model.BuffersLength(), model.Buffers)]
        found = tuple(
            self._graph(graph, kinds, buffers) for graph in self._each(model.SubgraphsLength(), model.Subgraphs)
        )
        if not found:
            raise ValueError("it has no graph")
        return found

    def _each(self, length: int, get: Callable[[int], Any]) -> Iterator[Any]:
        self._count(length)
        return (get(index) for index in range(length))

    def _count(self, length: int) -> None:
        self.left -= length + 1
        if self.left < 0:
            raise ValueError("it promises more than it holds")

    def _numbers(self, table: Any, field: str) -> Array:
        """A vector of numbers; empty where it is absent."""
        length = getattr(table, f"{field}Length")()
        self._count(length)
        return np.asarray(getattr(table, f"{field}AsNumpy")()) if length else np.zeros(0, np.int32)

    def _text(self, text: bytes | None) -> str:
        self._count(len(text or b""))
        return (text or b"").decode("utf-8", "replace")

    def _kind(self, code: Any) -> str:
        # Files from before the 128th operator have only the first field, whose type is a byte; newer ones have both.
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if number == _CUSTOM:
            return f"CUSTOM:{self._text(code.CustomCode())}"
        return OPERATORS.get(number, f"number {number}")

    def _bytes(self, buffer: Any) -> Array | None:
        if buffer.DataLength():
            return np.asarray(buffer.DataAsNumpy())
        # Files beyond 2 GiB keep constants behind the tables; 0 and 1 mean that there are none.
        if buffer.Offset() > 1:
            return np.frombuffer(self.data, np.uint8, buffer.Size(), buffer.Offset())
        return None

    def _graph(self, table: Any, kinds: list[str], buffers: list[Array | None]) -> Graph:
        tensors = tuple(self._tensor(tensor, buffers) for tensor in self._each(table.TensorsLength(), table.Tensors))
        return Graph(
            self._text(table.Name()),
            tensors,
            tuple(
                self._operator(operator, kinds, len(tensors))
                for operator in self._each(table.OperatorsLength(), table.Operators)
            ),
            self._indices(table, "Inputs", len(tensors), 0),
            self._indices(table, "Outputs", len(tensors), 0),
        )

    def _indices(self, table: Any, field: str, count: int, least: int) -> tuple[int, ...]:
        found = tuple(int(index) for index in self._numbers(table, field))
        if any(not least <= index < count for index in found):
            raise ValueError(f"a tensor is numbered {max(found)}, of {count}")
        return found

    def _operator(self, table: Any, kinds: list[str], count: int) -> Operator:
        kind = kinds[table.OpcodeIndex()]
        return Operator(
            kind,
            self._indices(table, "Inputs", count, -1),
            self._indices(table, "Outputs", count, 0),
            _options(table),
        )

    def _tensor(self, table: Any, buffers: list[Array | None]) -> Tensor:
        shape = self._dims(table, "Shape", 0)
        signature = self._dims(table, "ShapeSignature", -1)
        return Tensor(
            self._text(table.Name()),
            shape,
            signature if len(signature) == len(shape) else shape,
            TYPES.get(table.Type(), f"number {table.Type()}"),
            buffers[table.Buffer()],
            self._quantization(table.Quantization(), len(shape)),
            bool(table.IsVariable()),
            table.Sparsity() is not None,
        )

    def _dims(self, table: Any, field: str, least: int) -> tuple[int, ...]:
        dims = tuple(int(dim) for dim in self._numbers(table, field))
        if len(dims) > _LARGEST_RANK or any(dim < least for dim in dims):
            raise ValueError(f"a tensor has the shape {list(dims)}")
        return dims

    def _quantization(self, table: Any, rank: int) -> Quantization | None:
        if table is None:
            return None
        scale = self._numbers(table, "Scale").astype(np.float32)
        zero = self._numbers(table, "ZeroPoint").astype(np.int64)
        if not scale.size:
            return None
        if zero.size not in (1, scale.size):
            zero = np.zeros(scale.size, np.int64)
        axis = table.QuantizedDimension()
        if not np.isfinite(scale).all() or (scale < 0).any():
            raise ValueError("a scale is no positive number")
        if scale.size > 1 and not 0 <= axis < rank:
            raise ValueError(f"a tensor of {rank} dimensions has scales along number {axis}")
        return Quantization(scale, np.broadcast_to(zero, scale.shape), axis)


def _options(table: Any) -> Any:
    """The options of an operator, by the class that the schema names for them."""
    content, name = table.BuiltinOptions(), _OPTIONS.get(table.BuiltinOptionsType(), "NONE")
    if content is None or name == "NONE":
        return None
    options = getattr(tflite, name)()
    options.Init(content.Bytes, content.Pos)
    return options
