"""Bytes of an `.espdl` file to `Program`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from tinsmith.errors import FormatError
from tinsmith.espdl import fields
from tinsmith.espdl.container import unwrap
from tinsmith.espdl.fields import (
    LARGEST_DIMENSION,
    LARGEST_EXPONENT,
    LARGEST_RANK,
    TYPED_FIELDS,
    UNREADABLE,
    AttributeType,
    DimensionKind,
    TypeKind,
)
from tinsmith.espdl.reader import Buffer, Table
from tinsmith.program import Array, Attribute, DType, Node, Program, Tensor, Value

_Named = TypeVar("_Named", Tensor, Value)


def decode(data: bytes, *, key: bytes | None = None, source: str = "") -> Program:
    """The program in the bytes of an EDL1 or EDL2 file.

    What the format can say and a program cannot (sub-graphs, functions, sequence types, external data, string tensors)
    is refused. Quantization annotations, reference attribute names and the names of dimensions, which the runtime does
    not read, are dropped; so is padding behind the elements, whatever it holds. Absent strings become empty ones,
    absent exponents (0,), dimensions without a number -1.

    Args:
        data: The whole file.
        key: The 16-byte key, where the file is encrypted.
        source: File name for messages.

    Raises:
        FormatError: The bytes are truncated, damaged, hostile, encrypted with another key, or say something that a
            program cannot.
        MissingExtraError: The file is encrypted and `cryptography` is not installed.
    """
    payload = unwrap(data, key=key, source=source)
    try:
        return decode_flatbuffer(payload, source=source)
    except FormatError as error:
        if key is None:
            raise
        raise FormatError(error.reason, subject=error.subject, hint="Is this the right key?") from error


def decode_flatbuffer(payload: bytes, *, source: str = "") -> Program:
    """The program in a bare FlatBuffer, without the header of a file; see `decode`."""
    model = Buffer(payload, source).root(fields.MODEL, "model")
    graph = model.table("graph", fields.GRAPH)
    if graph is None:
        raise model.broken("has no graph")
    if any(True for _ in model.tables("functions", fields.FUNCTION)):
        raise model.broken("defines functions, which the runtime does not have")
    entries = model.tables("metadata_props", fields.STRING_STRING_ENTRY)
    opsets = model.tables("opset_import", fields.OPERATOR_SET_ID)
    return Program(
        nodes=tuple(_node(table) for table in graph.tables("node", fields.NODE)),
        inputs=tuple(_value(table) for table in graph.tables("input", fields.VALUE_INFO)),
        outputs=tuple(_value(table) for table in graph.tables("output", fields.VALUE_INFO)),
        values=_by_name(graph, "value_info", fields.VALUE_INFO, _value),
        constants=_by_name(graph, "initializer", fields.TENSOR, _tensor),
        test_inputs=_tests(graph, "test_inputs_value"),
        test_outputs=_tests(graph, "test_outputs_value"),
        metadata={entry.text("key"): entry.text("value") for entry in entries},
        name=graph.text("name"),
        opset={entry.text("domain"): entry.long("version") or 0 for entry in opsets},
        producer_name=model.text("producer_name"),
        producer_version=model.text("producer_version"),
        ir_version=model.integer("ir_version"),
        model_version=model.long("model_version") or 0,
        domain=model.text("domain"),
        doc=model.text("doc_string"),
        graph_doc=graph.text("doc_string"),
    )


def _by_name(graph: Table, name: str, layout: fields.Fields, read: Callable[[Table], _Named]) -> dict[str, _Named]:
    found: dict[str, _Named] = {}
    for table in graph.tables(name, layout):
        item = read(table)
        if item.name in found:
            raise table.broken(f"has the name {item.name!r}, which is used already")
        found[item.name] = item
    return found


def _tests(graph: Table, name: str) -> dict[str, Array]:
    return {tensor.name: tensor.data for tensor in _by_name(graph, name, fields.TENSOR, _tensor).values()}


def _node(table: Table) -> Node:
    op_type = table.text("op_type")
    if not op_type:
        raise table.broken("has no op_type")
    attributes: dict[str, Attribute] = {}
    for entry in table.tables("attribute", fields.ATTRIBUTE):
        name = entry.text("name")
        if not name or name in attributes:
            raise entry.broken(f"has the name {name!r}, which is empty or used already")
        attributes[name] = _attribute(entry)
    return Node(
        op_type=op_type,
        name=table.text("name"),
        inputs=table.texts("input"),
        outputs=table.texts("output"),
        attributes=attributes,
        domain=table.text("domain"),
        doc=table.text("doc_string"),
    )


def _attribute(table: Table) -> Attribute:
    kind = table.integer("attr_type")
    found: Attribute | None
    match kind:
        case AttributeType.FLOAT:
            found = table.float32("f")
        case AttributeType.INT:
            found = table.long("i")
        case AttributeType.STRING:
            found = table.text("s")
        case AttributeType.TENSOR:
            tensor = table.table("t", fields.TENSOR)
            found = None if tensor is None else _tensor(tensor)
        case AttributeType.FLOATS:
            found = _numbers(table, "floats", "<f4")
        case AttributeType.INTS:
            found = _numbers(table, "ints", "<i8")
        case AttributeType.STRINGS:
            found = table.texts("strings")
        case _:
            raise table.broken(f"has attribute type {kind}, which the runtime does not read")
    if found is None:
        raise table.broken("has a type and no value")
    return found


def _numbers(table: Table, name: str, dtype: str) -> tuple[int, ...]:
    found = table.vector(name, dtype)
    return () if found is None else tuple(found.tolist())


def _exponents(table: Table) -> tuple[int, ...]:
    found = _numbers(table, "exponents", "<i8") or (0,)
    if max(found) > LARGEST_EXPONENT or min(found) < -LARGEST_EXPONENT:
        raise table.broken(f"has an exponent beyond ±{LARGEST_EXPONENT}")
    return found


def _dtype(table: Table, name: str) -> DType:
    number = table.integer(name)
    try:
        return DType(number)
    except ValueError:
        raise table.broken(f"has element type {number}, which does not exist") from None


def _value(table: Table) -> Value:
    name, exponents = table.text("name"), _exponents(table)
    info = table.table("value_info_type", fields.TYPE_INFO)
    kind = TypeKind.NONE if info is None else info.byte("value_type")
    if info is None or kind == TypeKind.NONE:
        return Value(name, DType.UNDEFINED, (), exponents)
    if kind != TypeKind.TENSOR:
        raise info.broken("is no tensor type, and the runtime has nothing else")
    tensor = info.table("value", fields.TENSOR_TYPE)
    if tensor is None:
        raise info.broken("has a type and no value")
    shape = tensor.table("shape", fields.TENSOR_SHAPE)
    dims = () if shape is None else tuple(_dimension(dim) for dim in shape.tables("dim", fields.DIMENSION))
    return Value(name, _dtype(tensor, "elem_type"), dims, exponents)


def _dimension(table: Table) -> int:
    value = table.table("value", fields.DIMENSION_VALUE)
    if value is None or value.byte("dim_type") != DimensionKind.VALUE:
        return -1
    size = value.long("dim_value") or 0
    if not 0 <= size <= LARGEST_DIMENSION:
        raise table.broken(f"has the size {size}")
    return size


def _tensor(table: Table) -> Tensor:
    name = table.text("name")
    dtype = _dtype(table, "data_type")
    if dtype in UNREADABLE:
        raise table.broken(f"({name!r}) has element type {dtype.name}, which the runtime does not read")
    if table.integer("data_location") or any(True for _ in table.tables("external_data", fields.STRING_STRING_ENTRY)):
        raise table.broken(f"({name!r}) keeps its elements in another file")
    shape = _numbers(table, "dims", "<i8")
    if len(shape) > LARGEST_RANK or any(not 0 <= dim <= LARGEST_DIMENSION for dim in shape):
        raise table.broken(f"({name!r}) has the shape {list(shape[:LARGEST_RANK])}")
    return Tensor(name, _elements(table, name, dtype, shape), _exponents(table), table.text("doc_string"))


def _elements(table: Table, name: str, dtype: DType, shape: tuple[int, ...]) -> Array:
    """The elements as a read-only array, without a copy where the file holds them as numpy does."""
    count = math.prod(shape)
    stored = np.dtype("u1") if dtype is DType.BOOL else dtype.numpy.newbyteorder("<")
    raw = table.vector("raw_data", "u1", item=16)
    if raw is not None:
        needed, held = count * stored.itemsize, raw.size
    else:
        found = table.vector(*TYPED_FIELDS[dtype])
        typed = np.empty(0, stored) if found is None else found
        needed, held = count, typed.size
    if held < needed or (raw is None and held > needed):
        unit = "elements" if raw is None else "bytes"
        raise table.broken(f"({name!r}) holds {held} {unit}, and its shape {list(shape)} needs {needed}")
    if raw is not None:
        flat = raw[:needed].view(stored)
    else:
        flat = typed.astype(np.uint16).view(np.float16) if dtype is DType.FLOAT16 else typed
    if dtype is DType.BOOL:
        flat = flat != 0
    try:
        shaped = flat.astype(dtype.numpy, copy=False).reshape(shape)
    except ValueError:  # a zero among dimensions whose product numpy cannot hold
        raise table.broken(f"({name!r}) has the shape {list(shape)}") from None
    elements = np.require(shaped, requirements=["A", "C"])
    elements.flags.writeable = False
    return elements
