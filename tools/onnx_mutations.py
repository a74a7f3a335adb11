"""Defects in the fields of an ONNX model: names, shapes, types, attributes, tensors, wiring."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import onnx
from onnx import AttributeProto, TensorProto

_INTS = (-(1 << 63), -(1 << 31), -1000, -2, -1, 0, 1, 2, 3, 5, 7, 64, 1 << 16, 1 << 31, (1 << 63) - 1)
_DIMS = (-1, 0, 0, 1, 1, 2, 3, 5, 16, 1000, 1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e38, -1e38, float("inf"), float("-inf"), float("nan"))
_NAMES = ("", " ", "x", "y", "a/b:0", "ä重", "n" * 3000, "\\", "%s", "../x", "\x00", "tinsmith.ranges")
_OPS = (
    *("Relu", "Conv", "Gemm", "MatMul", "Add", "Mul", "Sub", "Div", "Pow", "Concat", "Split", "Slice", "Gather", "Pad"),
    *("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Expand", "Tile", "Shape", "Size", "Range", "ConstantOfShape"),
    *("Softmax", "ReduceMean", "ReduceSum", "MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "Cast", "Where"),
    *("QuantizeLinear", "DequantizeLinear", "Loop", "If", "Scan", "LSTM", "GRU", "RNN", "BatchNormalization", "Clip"),
    *("NonZero", "TopK", "OneHot", "Einsum", "LayerNormalization", "Identity", "Dropout", "Constant", "Nonsense", ""),
    *("SequenceConstruct", "SequenceAt", "SplitToSequence", "Optional", "ScatterND", "DepthToSpace", "ConvTranspose"),
)

Defect = Callable[[onnx.ModelProto, random.Random], None]


def graphs(proto: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The graph and those its nodes carry."""
    pending = [proto.graph]
    while pending:
        graph = pending.pop()
        yield graph
        pending += [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]


def _graph(proto: onnx.ModelProto, dice: random.Random) -> onnx.GraphProto:
    return dice.choice(list(graphs(proto)))


def _names(graph: onnx.GraphProto) -> list[str]:
    found = [value.name for value in (*graph.input, *graph.output, *graph.initializer)]
    return [*found, *(name for node in graph.node for name in (*node.input, *node.output)), *_NAMES]


def _nodes(proto: onnx.ModelProto, dice: random.Random) -> None:
    graph = _graph(proto, dice)
    if not graph.node:
        return
    index = dice.randrange(len(graph.node))
    node = graph.node[index]
    match dice.randrange(8):
        case 0:
            del graph.node[index]
        case 1:
            graph.node.append(node)
        case 2:
            node.op_type = dice.choice(_OPS)
        case 3:
            node.domain = dice.choice(("", "ai.onnx", "com.microsoft", "ai.onnx.ml", "mine", "x" * 100))
        case 4:
            node.name = dice.choice(_NAMES)
        case 5:
            other = dice.choice(graph.node)
            node.op_type, other.op_type = other.op_type, node.op_type
        case 6:
            moved = onnx.NodeProto()
            moved.CopyFrom(node)
            del graph.node[index]
            graph.node.insert(dice.randrange(len(graph.node) + 1), moved)
        case _:
            node.output.append(dice.choice(_names(graph)))


def _wires(proto: onnx.ModelProto, dice: random.Random) -> None:
    graph = _graph(proto, dice)
    if not graph.node:
        return
    node = dice.choice(graph.node)
    side = dice.choice((node.input, node.input, node.output))
    match dice.randrange(4):
        case 0 if side:
            del side[dice.randrange(len(side))]
        case 1:
            side.insert(dice.randrange(len(side) + 1), dice.choice(_names(graph)))
        case _ if side:
            side[dice.randrange(len(side))] = dice.choice(_names(graph))


def _attributes(proto: onnx.ModelProto, dice: random.Random) -> None:
    nodes = [node for graph in graphs(proto) for node in graph.node]
    carrying = [node for node in nodes if node.attribute]
    if not carrying or dice.random() < 0.1:
        if nodes:
            given = dice.choice(("axis", "perm", "kernel_shape", "to", "group", "axes", "mode", "dtype", "value", ""))
            dice.choice(nodes).attribute.append(onnx.helper.make_attribute(given or "x", dice.choice(_INTS[3:-3])))
        return
    node = dice.choice(carrying)
    index = dice.randrange(len(node.attribute))
    attribute = node.attribute[index]
    match dice.randrange(8):
        case 0:
            del node.attribute[index]
        case 1:
            attribute.type = dice.choice(list(AttributeProto.AttributeType.values()))
        case 2:
            node.attribute.append(attribute)
        case 3:
            attribute.name = dice.choice(("axis", "axes", "pads", "strides", "dilations", "group", "mode", "", "to"))
        case 4 if attribute.ints:
            del attribute.ints[dice.randrange(len(attribute.ints)) :]
        case 5:
            attribute.ints.append(dice.choice(_INTS))
        case 6:
            attribute.s = dice.choice(
                (b"", b"linear", b"nearest", b"SAME_UPPER", b"bidirectional", b"\xff\xfe", b"x" * 99)
            )
        case _:
            _number(attribute, dice)


def _number(attribute: onnx.AttributeProto, dice: random.Random) -> None:
    if attribute.ints:
        attribute.ints[dice.randrange(len(attribute.ints))] = dice.choice(_INTS)
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = dice.choice(_FLOATS)
    else:
        attribute.i = dice.choice(_INTS)


def _tensors(proto: onnx.ModelProto, dice: random.Random) -> None:
    graph = _graph(proto, dice)
    if not graph.initializer:
        return
    index = dice.randrange(len(graph.initializer))
    tensor = graph.initializer[index]
    match dice.randrange(10):
        case 0:
            del graph.initializer[index]
        case 1:
            graph.initializer.append(tensor)
        case 2:
            tensor.name = dice.choice(_names(graph))
        case 3:
            tensor.data_type = dice.choice((*TensorProto.DataType.values(), 99))
        case 4:
            tensor.dims.append(dice.choice(_DIMS))
        case 5 if tensor.dims:
            del tensor.dims[dice.randrange(len(tensor.dims))]
        case 6 if tensor.dims:
            tensor.dims[dice.randrange(len(tensor.dims))] = dice.choice(_DIMS)
        case 7:
            tensor.raw_data = tensor.raw_data[: dice.randrange(len(tensor.raw_data) + 1)]
        case 8:
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=dice.choice(("w.bin", "../w", "/etc/passwd", "")))
        case _:
            _elements(tensor, dice)


def _elements(tensor: onnx.TensorProto, dice: random.Random) -> None:
    data = bytearray(tensor.raw_data)
    for _ in range(dice.randint(1, 4)):
        if len(data) >= 4:
            position = dice.randrange(len(data) // 4) * 4
            data[position : position + 4] = dice.choice(
                (b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\0\0\x80")
            )
        elif data:
            data[0] = dice.randrange(256)
    tensor.raw_data = bytes(data)


def _ends(proto: onnx.ModelProto, dice: random.Random) -> None:
    graph = _graph(proto, dice)
    side = dice.choice((graph.input, graph.output, graph.value_info))
    if not side:
        graph.value_info.append(onnx.helper.make_tensor_value_info(dice.choice(_names(graph)), 1, [dice.choice(_DIMS)]))
        return
    index = dice.randrange(len(side))
    value = side[index]
    match dice.randrange(7):
        case 0:
            del side[index]
        case 1:
            side.append(value)
        case 2:
            value.name = dice.choice(_names(graph))
        case 3:
            value.type.tensor_type.elem_type = dice.choice((*TensorProto.DataType.values(), 99))
        case 4:
            value.ClearField("type")
        case 5:
            value.type.sequence_type.elem_type.tensor_type.elem_type = 1
        case _:
            _shape(value, dice)


def _shape(value: onnx.ValueInfoProto, dice: random.Random) -> None:
    shape = value.type.tensor_type.shape
    match dice.randrange(4):
        case 0:
            shape.dim.add().dim_value = dice.choice(_DIMS)
        case 1 if shape.dim:
            del shape.dim[dice.randrange(len(shape.dim))]
        case 2 if shape.dim:
            dice.choice(shape.dim).dim_param = dice.choice(("N", "H", *_NAMES))
        case _ if shape.dim:
            dice.choice(shape.dim).dim_value = dice.choice(_DIMS)


def _header(proto: onnx.ModelProto, dice: random.Random) -> None:
    match dice.randrange(5):
        case 0:
            proto.ir_version = dice.choice(_INTS)
        case 1 if proto.opset_import:
            dice.choice(proto.opset_import).version = dice.choice((*range(-1, 30), *_INTS))
        case 2:
            proto.opset_import.add(
                domain=dice.choice(("", "ai.onnx", "mine", "ai.onnx.ml")), version=dice.randint(0, 30)
            )
        case 3:
            proto.ClearField(dice.choice(("graph", "opset_import", "ir_version", "functions")))
        case _:
            proto.metadata_props.add(key="tinsmith.ranges", value=dice.choice(('{"x": [0, 1]}', "{", '{"y": [1, 0]}')))


_DEFECTS: tuple[Defect, ...] = (_nodes, _wires, _attributes, _tensors, _ends, _header)
_CHANCES = (6, 6, 6, 5, 4, 1)


def change(proto: onnx.ModelProto, dice: random.Random) -> onnx.ModelProto:
    """A copy with one to three defects in its fields."""
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        _try(dice.choices(_DEFECTS, _CHANCES)[0], changed, dice)
    return changed


def _try(defect: Defect, proto: onnx.ModelProto, dice: random.Random) -> None:
    try:
        defect(proto, dice)
    except (ValueError, TypeError):  # protobuf itself refuses some values
        proto.doc_string = "unchanged"


def data_of(proto: Any) -> bytes:
    """The bytes of a model."""
    return bytes(proto.SerializeToString())
