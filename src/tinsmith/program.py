"""`Program`: exactly what the chip gets, frozen.

A small mirror of the file format on numpy arrays: `tinsmith.espdl` turns it into bytes and back,
`tinsmith.simulate` executes it. All shapes and arrays are in the file's layout (NHWC where kernels want it),
weights in the packed order of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class DType(IntEnum):
    """Element types, numbered as in the file (`TensorDataType`)."""

    UNDEFINED = 0
    FLOAT = 1
    UINT8 = 2
    INT8 = 3
    UINT16 = 4
    INT16 = 5
    INT32 = 6
    INT64 = 7
    STRING = 8
    BOOL = 9
    FLOAT16 = 10
    DOUBLE = 11
    UINT32 = 12
    UINT64 = 13

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy type that holds such elements."""
        return np.dtype(_NUMPY[self])

    @property
    def bits(self) -> int:
        """Width of one element."""
        return self.numpy.itemsize * 8

    @property
    def quantized(self) -> bool:
        """Whether values of this type carry an exponent (int8 and int16)."""
        return self in (DType.INT8, DType.INT16)

    @classmethod
    def of(cls, dtype: Any) -> DType:
        """The element type of a numpy dtype."""
        return _FROM_NUMPY[np.dtype(dtype)]


_NUMPY = {
    DType.FLOAT: "float32",
    DType.UINT8: "uint8",
    DType.INT8: "int8",
    DType.UINT16: "uint16",
    DType.INT16: "int16",
    DType.INT32: "int32",
    DType.INT64: "int64",
    DType.STRING: "object",
    DType.BOOL: "bool",
    DType.FLOAT16: "float16",
    DType.DOUBLE: "float64",
    DType.UINT32: "uint32",
    DType.UINT64: "uint64",
    DType.UNDEFINED: "object",
}
_FROM_NUMPY = {np.dtype(name): dtype for dtype, name in _NUMPY.items() if dtype is not DType.UNDEFINED}


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A constant: weights, biases, tables, shapes.

    Attributes:
        name: Name of the initializer.
        data: Elements shaped as the file's `dims`; for packed weights the elements are in packed order.
        exponents: One entry per tensor or per channel; (0,) where not quantized.
        doc: `layout ==> …` on parameters, empty on tables.
    """

    name: str
    data: Array
    exponents: tuple[int, ...] = (0,)
    doc: str = ""

    @property
    def dtype(self) -> DType:
        """Element type."""
        return DType.of(self.data.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The laid-out shape (`dims`)."""
        return tuple(self.data.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tensor):
            return NotImplemented
        return (self.name, self.exponents, self.doc, self.shape, self.data.dtype) == (
            other.name,
            other.exponents,
            other.doc,
            other.shape,
            other.data.dtype,
        ) and self.data.tobytes() == other.data.tobytes()

    __hash__ = None  # type: ignore[assignment]


def _same(a: Array, b: Array) -> bool:
    """Equal to the last bit, NaNs included."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor computed at run time: a graph input, a node output.

    Attributes:
        name: Unique in the program.
        dtype: INT8, INT16, FLOAT or BOOL (INT64 for index inputs).
        shape: Shape in the file's layout. Trusted only for graph inputs in files of other exporters.
        exponents: One entry; (0,) where not quantized.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    exponents: tuple[int, ...] = (0,)

    @property
    def exponent(self) -> int:
        """The per-tensor exponent (0 where the file gives none)."""
        return self.exponents[0] if self.exponents else 0


Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | Tensor


@dataclass(frozen=True, slots=True)
class Node:
    """One step of the chip.

    Attributes:
        op_type: Operator, as the runtime names it.
        name: Node name.
        inputs: Value or constant names; an absent optional input is an empty string.
        outputs: Value names.
        attributes: ONNX attributes plus `quant_type`, and `activation`, `lut`, `gate_exponent` where they apply.
        domain: Operator domain, usually empty.
        doc: Free text.
    """

    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    domain: str = ""
    doc: str = ""

    @property
    def subject(self) -> str:
        """The node, as messages name it."""
        return f"{self.op_type} {self.name!r}"


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A whole model as the chip runs it.

    Attributes:
        nodes: In execution order.
        inputs, outputs: Graph inputs and outputs, in order.
        values: Every non-constant tensor by name, inputs and outputs included.
        constants: Initializers by name, in the file's order.
        test_inputs, test_outputs: Embedded test sample, `{name: array}` in the file's layout; may be empty.
        metadata: `metadata_props` (target, tool version, layouts, …).
        name: Graph name.
        opset: Opset imports, `{domain: version}`.
        doc: Model doc string.
        memo: What the simulator derived from this very program (compiled forms); never part of its value.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    values: Mapping[str, Value]
    constants: Mapping[str, Tensor]
    test_inputs: Mapping[str, Array] = field(default_factory=dict)
    test_outputs: Mapping[str, Array] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    opset: Mapping[str, int] = field(default_factory=dict)
    producer_name: str = ""
    producer_version: str = ""
    ir_version: int = 8
    model_version: int = 0
    domain: str = ""
    doc: str = ""
    graph_doc: str = ""
    memo: dict[object, object] = field(default_factory=dict, init=False, repr=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Program):
            return NotImplemented
        mine, theirs = (
            (
                p.nodes,
                p.inputs,
                p.outputs,
                p.values,
                p.constants,
                p.metadata,
                p.name,
                p.opset,
                p.producer_name,
                p.producer_version,
                p.ir_version,
                p.model_version,
                p.domain,
                p.doc,
                p.graph_doc,
            )
            for p in (self, other)
        )
        return mine == theirs and all(
            a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
            for a, b in ((self.test_inputs, other.test_inputs), (self.test_outputs, other.test_outputs))
        )

    __hash__ = None  # type: ignore[assignment]

    def with_tests(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Program:
        """The same program carrying a test sample."""
        return replace(self, test_inputs=dict(inputs), test_outputs=dict(outputs))
