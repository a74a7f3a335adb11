"""Small `.tflite` files, written table by table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite

_TYPES = {"f4": "FLOAT32", "f2": "FLOAT16", "i1": "INT8", "u1": "UINT8", "i2": "INT16", "i4": "INT32", "i8": "INT64"}


@dataclass(frozen=True)
class T:
    """A tensor: a constant where it has data; quantized where it has scales."""

    name: str
    shape: Sequence[int] = ()
    data: Any = None
    type: str = ""
    scale: Sequence[float] = ()
    zero: Sequence[int] = ()
    axis: int = 0
    variable: bool = False
    signature: Sequence[int] | None = None

    def type_name(self) -> str:
        """Name of its element type."""
        if self.type:
            return self.type
        dtype = np.asarray(self.data).dtype if self.data is not None else np.dtype(np.float32)
        return "BOOL" if dtype.kind == "b" else _TYPES[dtype.str[1:]]

    def dims(self) -> Sequence[int]:
        """Its shape."""
        return np.shape(self.data) if self.data is not None and not self.shape else self.shape


@dataclass(frozen=True)
class Op:
    """An operator: names of tensors, "" for an absent one, and the fields of its table of options."""

    kind: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    options: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    custom: str = ""
    version: int = 1


@dataclass(frozen=True)
class Graph:
    """A graph of the file."""

    tensors: Sequence[T]
    operators: Sequence[Op]
    inputs: Sequence[str]
    outputs: Sequence[str]


def write(*graphs: Graph, version: int = 3) -> bytes:
    """The file of some graphs, the model's first."""
    b = flatbuffers.Builder(1024)
    kinds = list(dict.fromkeys((op.kind, op.custom, op.version) for graph in graphs for op in graph.operators))
    buffers: list[bytes] = [b""]
    tables = [_graph(b, graph, kinds, buffers) for graph in graphs]
    codes = [_code(b, *kind) for kind in kinds]
    data = [b.CreateByteVector(content) if content else 0 for content in buffers]
    stored = [_table(b, "Buffer", {"Data": vector} if vector else {}) for vector in data]
    fields = {
        "OperatorCodes": _offsets(b, codes),
        "Subgraphs": _offsets(b, tables),
        "Buffers": _offsets(b, stored),
    }
    b.Finish(_table(b, "Model", {"Version": version, **fields}), b"TFL3")
    return bytes(b.Output())


def _code(b: Any, kind: str, custom: str, version: int) -> int:
    number = getattr(tflite.BuiltinOperator, kind)
    name = {"CustomCode": b.CreateString(custom)} if custom else {}
    fields = {"BuiltinCode": number, "DeprecatedBuiltinCode": min(number, 127), "Version": version}
    return _table(b, "OperatorCode", fields | name)


def _graph(b: Any, graph: Graph, kinds: list[tuple[str, str, int]], buffers: list[bytes]) -> int:
    numbers = {tensor.name: index for index, tensor in enumerate(graph.tensors)} | {"": -1}
    tensors = _offsets(b, [_tensor(b, tensor, buffers) for tensor in graph.tensors])
    operators = _offsets(b, [_operator(b, op, numbers, kinds) for op in graph.operators])
    ends = {
        "Inputs": _ints(b, [numbers[name] for name in graph.inputs]),
        "Outputs": _ints(b, [numbers[name] for name in graph.outputs]),
    }
    return _table(b, "SubGraph", {"Tensors": tensors, "Operators": operators, **ends})


def _tensor(b: Any, tensor: T, buffers: list[bytes]) -> int:
    fields: dict[str, int] = {"Name": b.CreateString(tensor.name), "Shape": _ints(b, tensor.dims())}
    if tensor.signature is not None:
        fields["ShapeSignature"] = _ints(b, tensor.signature)
    if tensor.data is not None:
        buffers.append(np.ascontiguousarray(tensor.data).tobytes())
        fields["Buffer"] = len(buffers) - 1
    if tensor.scale:
        scale = b.CreateNumpyVector(np.array(tensor.scale, np.float32))
        zero = b.CreateNumpyVector(np.array(tensor.zero or [0] * len(tensor.scale), np.int64))
        fields["Quantization"] = _table(
            b, "QuantizationParameters", {"Scale": scale, "ZeroPoint": zero, "QuantizedDimension": tensor.axis}
        )
    return _table(
        b, "Tensor", {**fields, "Type": getattr(tflite.TensorType, tensor.type_name()), "IsVariable": tensor.variable}
    )


def _operator(b: Any, op: Op, numbers: Mapping[str, int], kinds: list[tuple[str, str, int]]) -> int:
    fields: dict[str, int] = {
        "OpcodeIndex": kinds.index((op.kind, op.custom, op.version)),
        "Inputs": _ints(b, [numbers[name] for name in op.inputs]),
        "Outputs": _ints(b, [numbers[name] for name in op.outputs]),
    }
    if op.options:
        content = {
            name: _ints(b, value) if isinstance(value, (list, tuple)) else value for name, value in op.fields.items()
        }
        fields["BuiltinOptions"] = _table(b, op.options, content)
        fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, op.options)
    return _table(b, "Operator", fields)


def _table(b: Any, name: str, fields: Mapping[str, Any]) -> int:
    getattr(tflite, f"{name}Start")(b)
    for key, value in fields.items():
        getattr(tflite, f"{name}Add{key}")(b, value)
    return int(getattr(tflite, f"{name}End")(b))


def _ints(b: Any, numbers: Sequence[int]) -> int:
    return int(b.CreateNumpyVector(np.array(list(numbers), np.int32)))


def _offsets(b: Any, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())
