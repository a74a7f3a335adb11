"""`Program` to the bytes of an `.espdl` file. The order of everything follows from the program alone."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import flatbuffers
import numpy as np

from tinsmith.errors import ProgramError
from tinsmith.espdl.attributes import kind_of, singles
from tinsmith.espdl.check import check, check_array
from tinsmith.espdl.container import wrap
from tinsmith.espdl.fields import TYPED_FIELDS, AttributeType, DimensionKind, TypeKind
from tinsmith.espdl.schema import espdl_generated as fb
from tinsmith.program import Array, Attribute, DType, Node, Program, Tensor, Value

_Item = TypeVar("_Item")

_BLOCK = 16
_NOT_WRITABLE = (OverflowError, TypeError, UnicodeEncodeError, struct.error, flatbuffers.builder.BuilderSizeError)


def encode(program: Program, *, key: bytes | None = None) -> bytes:
    """The EDL2 file of a program.

    Equal programs give equal bytes, and ``decode(encode(p))`` equals ``p`` within what the format can tell apart: see
    `tinsmith.espdl.attributes`; and no exponents at all mean (0,).

    Args:
        program: What to write.
        key: Encrypt with this 16-byte key, used for no other model.

    Raises:
        ProgramError: The program is inconsistent (`tinsmith.espdl.check`), or holds what the format cannot express.
        MissingExtraError: A key is given, and `cryptography` is not installed.
    """
    return wrap(encode_flatbuffer(program), key=key)


def encode_flatbuffer(program: Program) -> bytes:
    """The FlatBuffer of a program, without the header of a file; its length is a multiple of 16. See `encode`."""
    check(program)
    constants = sum(tensor.data.nbytes + 8 * len(tensor.exponents) for tensor in program.constants.values())
    builder = flatbuffers.Builder(constants + 1024 * (len(program.nodes) + len(program.constants) + 64))
    try:
        builder.Prep(_BLOCK, 0)
        builder.Finish(_model(builder, program))
        return bytes(builder.Output())
    except _NOT_WRITABLE as error:
        raise ProgramError(f"holds something that the format cannot express: {error}.", subject="program") from error


def _model(b: Any, program: Program) -> int:
    graph = _graph(b, program)
    metadata = _tables(b, program.metadata.items(), _string_entry)
    opset = _tables(b, program.opset.items(), _opset)
    texts = [_text(b, text) for text in (program.producer_name, program.producer_version, program.domain, program.doc)]
    fb.ModelStart(b)
    fb.ModelAddIrVersion(b, program.ir_version)
    fb.ModelAddOpsetImport(b, opset)
    _add(b, fb.ModelAddProducerName, texts[0])
    _add(b, fb.ModelAddProducerVersion, texts[1])
    _add(b, fb.ModelAddDomain, texts[2])
    fb.ModelAddModelVersion(b, program.model_version)
    _add(b, fb.ModelAddDocString, texts[3])
    fb.ModelAddGraph(b, graph)
    fb.ModelAddMetadataProps(b, metadata)
    return int(fb.ModelEnd(b))


def _graph(b: Any, program: Program) -> int:
    tests = [
        _tables(b, (Tensor(name, data, _exponents_of(program, name)) for name, data in arrays.items()), _tensor)
        for arrays in (program.test_inputs, program.test_outputs)
    ]
    initializer = _tables(b, program.constants.values(), _tensor)
    values = [_tables(b, group, _value_info) for group in (program.values.values(), program.inputs, program.outputs)]
    nodes = _tables(b, program.nodes, _node)
    name, doc = _text(b, program.name), _text(b, program.graph_doc)
    fb.GraphStart(b)
    fb.GraphAddNode(b, nodes)
    _add(b, fb.GraphAddName, name)
    fb.GraphAddInitializer(b, initializer)
    _add(b, fb.GraphAddDocString, doc)
    fb.GraphAddValueInfo(b, values[0])
    fb.GraphAddInput(b, values[1])
    fb.GraphAddOutput(b, values[2])
    fb.GraphAddTestInputsValue(b, tests[0])
    fb.GraphAddTestOutputsValue(b, tests[1])
    return int(fb.GraphEnd(b))


def _exponents_of(program: Program, name: str) -> tuple[int, ...]:
    return program.values[name].exponents


def _node(b: Any, node: Node) -> int:
    subject = node.subject
    attributes = _offsets(b, [_attribute(b, name, value, subject) for name, value in node.attributes.items()])
    inputs = _offsets(b, [b.CreateString(name) for name in node.inputs])
    outputs = _offsets(b, [b.CreateString(name) for name in node.outputs])
    name, op_type = b.CreateString(node.name), b.CreateString(node.op_type)
    domain, doc = _text(b, node.domain), _text(b, node.doc)
    fb.NodeStart(b)
    fb.NodeAddInput(b, inputs)
    fb.NodeAddOutput(b, outputs)
    fb.NodeAddName(b, name)
    fb.NodeAddOpType(b, op_type)
    _add(b, fb.NodeAddDomain, domain)
    fb.NodeAddAttribute(b, attributes)
    _add(b, fb.NodeAddDocString, doc)
    return int(fb.NodeEnd(b))


def _attribute(b: Any, name: str, value: Attribute, subject: str) -> int:
    try:
        kind = kind_of(value)
        add, content = _content(b, kind, value, f"{subject} attribute {name!r}")
        label = b.CreateString(name)
    except _NOT_WRITABLE as error:
        raise ProgramError(f"attribute {name!r} fits into no file: {error}.", subject=subject) from error
    fb.AttributeStart(b)
    fb.AttributeAddName(b, label)
    fb.AttributeAddAttrType(b, int(kind))
    add(b, content() if callable(content) else content)
    return int(fb.AttributeEnd(b))


def _content(b: Any, kind: AttributeType, value: Any, subject: str) -> tuple[Callable[[Any, int], None], Any]:
    """How to add an attribute's value to its table, and the value's offset (structs are written inside the table)."""
    match kind:
        case AttributeType.FLOAT:
            single = float(singles((value,))[0])
            return fb.AttributeAddF, lambda: fb.CreateAttributeF(b, single)
        case AttributeType.INT:
            whole = int(np.int64(int(value)))
            return fb.AttributeAddI, lambda: fb.CreateAttributeI(b, whole)
        case AttributeType.STRING:
            return fb.AttributeAddS, b.CreateByteVector(value.encode())
        case AttributeType.TENSOR:
            check_array(value.data, subject)
            return fb.AttributeAddT, _tensor(b, value)
        case AttributeType.FLOATS:
            return fb.AttributeAddFloats, b.CreateNumpyVector(singles(value))
        case AttributeType.INTS:
            return fb.AttributeAddInts, b.CreateNumpyVector(np.array(value, "<i8"))
        case _:
            return fb.AttributeAddStrings, _offsets(b, [b.CreateString(text) for text in value])


def _value_info(b: Any, value: Value) -> int:
    kind = 0 if value.dtype is DType.UNDEFINED and not value.shape else _tensor_type(b, value)
    exponents = b.CreateNumpyVector(np.array(value.exponents or (0,), "<i8"))
    name = b.CreateString(value.name)
    fb.ValueInfoStart(b)
    fb.ValueInfoAddName(b, name)
    _add(b, fb.ValueInfoAddValueInfoType, kind)
    fb.ValueInfoAddExponents(b, exponents)
    return int(fb.ValueInfoEnd(b))


def _tensor_type(b: Any, value: Value) -> int:
    shape = 0
    if value.name or value.shape:  # the nameless value of an absent input has no shape
        dims = _tables(b, value.shape, _dimension)
        fb.TensorShapeStart(b)
        fb.TensorShapeAddDim(b, dims)
        shape = fb.TensorShapeEnd(b)
    fb.TensorTypeAndShapeStart(b)
    fb.TensorTypeAndShapeAddElemType(b, int(value.dtype))
    _add(b, fb.TensorTypeAndShapeAddShape, shape)
    tensor = fb.TensorTypeAndShapeEnd(b)
    fb.TypeInfoStart(b)
    fb.TypeInfoAddValueType(b, int(TypeKind.TENSOR))
    fb.TypeInfoAddValue(b, tensor)
    return int(fb.TypeInfoEnd(b))


def _dimension(b: Any, size: int) -> int:
    fb.DimensionValueStart(b)
    if size >= 0:
        fb.DimensionValueAddDimType(b, int(DimensionKind.VALUE))
        fb.DimensionValueAddDimValue(b, size)
    value = fb.DimensionValueEnd(b)
    fb.DimensionStart(b)
    fb.DimensionAddValue(b, value)
    return int(fb.DimensionEnd(b))


def _tensor(b: Any, tensor: Tensor) -> int:
    dtype = tensor.dtype
    little = np.ascontiguousarray(tensor.data, dtype.numpy.newbyteorder("<"))
    if little.size:
        content, add = _blocks(b, little), fb.TensorAddRawData
    else:
        field, kind = TYPED_FIELDS[dtype]
        content, add = b.CreateNumpyVector(np.empty(0, kind)), _TYPED_ADDERS[field]
    dims = b.CreateNumpyVector(np.array(tensor.shape, "<i8"))
    exponents = b.CreateNumpyVector(np.array(tensor.exponents or (0,), "<i8"))
    name, doc = b.CreateString(tensor.name), _text(b, tensor.doc)
    fb.TensorStart(b)
    fb.TensorAddDims(b, dims)
    fb.TensorAddDataType(b, int(dtype))
    add(b, content)
    fb.TensorAddName(b, name)
    _add(b, fb.TensorAddDocString, doc)
    fb.TensorAddExponents(b, exponents)
    return int(fb.TensorEnd(b))


_TYPED_ADDERS: Mapping[str, Callable[[Any, int], None]] = {
    "float_data": fb.TensorAddFloatData,
    "int32_data": fb.TensorAddInt32Data,
    "int64_data": fb.TensorAddInt64Data,
    "double_data": fb.TensorAddDoubleData,
    "uint64_data": fb.TensorAddUint64Data,
}


def _blocks(b: Any, data: Array) -> int:
    """raw_data: the elements as aligned 16-byte blocks, zeros behind them, copied as one slice."""
    count = -(-data.nbytes // _BLOCK)
    b.StartVector(_BLOCK, count, _BLOCK)
    start = b.Head() - count * _BLOCK
    b.Bytes[start : start + data.nbytes] = data.tobytes()
    b.head = start
    return int(b.EndVector())


def _string_entry(b: Any, entry: tuple[str, str]) -> int:
    key, value = b.CreateString(entry[0]), b.CreateString(entry[1])
    fb.StringStringEntryStart(b)
    fb.StringStringEntryAddKey(b, key)
    fb.StringStringEntryAddValue(b, value)
    return int(fb.StringStringEntryEnd(b))


def _opset(b: Any, entry: tuple[str, int]) -> int:
    domain = b.CreateString(entry[0])
    fb.OperatorSetIdStart(b)
    fb.OperatorSetIdAddDomain(b, domain)
    fb.OperatorSetIdAddVersion(b, entry[1])
    return int(fb.OperatorSetIdEnd(b))


def _text(b: Any, text: str) -> int:
    """A string; 0 for an empty one, which the format leaves out."""
    return int(b.CreateString(text)) if text else 0


def _add(b: Any, add: Callable[[Any, int], None], offset: int) -> None:
    if offset:
        add(b, offset)


def _tables(b: Any, items: Iterable[_Item], write: Callable[[Any, _Item], int]) -> int:
    return _offsets(b, [write(b, item) for item in items])


def _offsets(b: Any, offsets: list[int]) -> int:
    """A vector of offsets; FlatBuffers are written from the end."""
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())
