"""Programs to bytes and back."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.espdl.programs import programs, sample
from tests.shared import shared_files
from tinsmith.errors import FormatError, ProgramError
from tinsmith.espdl import decode, encode
from tinsmith.espdl.decoder import decode_flatbuffer
from tinsmith.espdl.encoder import encode_flatbuffer
from tinsmith.espdl.schema import espdl_generated as fb
from tinsmith.program import DType, Node, Program, Tensor, Value

GOLDEN = shared_files("golden/**/*.espdl")


def test_a_program_comes_back() -> None:
    program = sample()
    data = encode(program)
    assert decode(data) == program
    assert encode(decode(data)) == data
    assert len(data) % 16 == 0


def test_equal_programs_give_equal_bytes() -> None:
    assert encode(sample()) == encode(sample())


@given(programs())
def test_any_program_comes_back(program: Program) -> None:
    data = encode(program)
    again = decode(data)
    assert again == program
    assert encode(again) == data


def test_order_is_kept() -> None:
    program = sample()
    again = decode(encode(program))
    assert list(again.constants) == list(program.constants)
    assert list(again.values) == list(program.values)
    assert list(again.nodes[0].attributes) == list(program.nodes[0].attributes)


def attributes_back(value: Any) -> Any:
    program = sample()
    node = replace(program.nodes[0], attributes={"it": value})
    return decode(encode(replace(program, nodes=(node, *program.nodes[1:])))).nodes[0].attributes["it"]


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (np.int8(-3), -3),
        (np.float32(0.1), float(np.float32(0.1))),
        (0.1, float(np.float32(0.1))),
        (float("inf"), float("inf")),
        (True, 1),
        ((1, 2.5), (1.0, 2.5)),
        ((), ()),
        ("", ""),
        (-(2**63), -(2**63)),
    ],
)
def test_attribute(value: Any, back: Any) -> None:
    found = attributes_back(value)
    assert found == back
    assert type(found) is type(back)


def test_nan_attribute() -> None:
    assert np.isnan(attributes_back(float("nan")))


def test_test_values_with_nan_are_equal() -> None:
    value = Value("f", DType.FLOAT, (2,))
    tests = {"f": np.array([np.nan, 1], np.float32)}
    program = Program((), (value,), (value,), {"f": value}, {}, test_inputs=tests)
    assert decode(encode(program)) == program


def test_big_endian_arrays_are_refused_rather_than_swapped() -> None:
    program = sample()
    constants = {**program.constants, "b": Tensor("b", program.constants["b"].data.astype(">i4"))}
    with pytest.raises(ProgramError, match="constant 'b'"):
        encode(replace(program, constants=constants))


def test_arrays_that_are_not_contiguous() -> None:
    program = sample()
    data = np.arange(24, dtype=np.int16).reshape(4, 6)[::2, ::-1]
    again = decode(encode(replace(program, constants={**program.constants, "b": Tensor("b", data)})))
    assert again.constants["b"].data.tolist() == data.tolist()


def test_the_generated_reader_sees_the_same() -> None:
    program = sample()
    data = encode_flatbuffer(program)
    model = fb.Model.GetRootAs(data, 0)
    graph = model.Graph()
    assert (model.IrVersion(), model.ProducerName(), model.OpsetImport(0).Version()) == (8, b"tinsmith", 24)
    assert (model.MetadataProps(0).Key(), model.MetadataProps(0).Value()) == (b"target", b"esp32s3")
    node = graph.Node(0)
    assert [node.Input(i) for i in range(node.InputLength())] == [b"x", b"w", b"b"]
    found = {node.Attribute(i).Name(): node.Attribute(i) for i in range(node.AttributeLength())}
    assert found[b"activation"].SAsNumpy().tobytes() == b"Relu"
    assert (found[b"alpha"].F().F(), found[b"group"].I().I()) == (0.25, 3)
    assert found[b"pads"].IntsAsNumpy().tolist() == [1, 1, -1, 1]
    assert found[b"scales"].FloatsAsNumpy().tolist() == [1.0, 2.0]
    weight, bias, empty = graph.Initializer(1), graph.Initializer(2), graph.Initializer(4)
    assert weight.DimsAsNumpy().tolist() == [1, 1, 200, 16]
    assert weight.ExponentsAsNumpy().tolist() == [-7] * 16
    assert weight.RawDataLength() == 200
    assert bias.RawDataLength() == 5
    assert bytes(data[bias.RawData(4)._tab.Pos :][:16]) == program.constants["b"].data[16:].tobytes() + bytes(12)
    assert (empty.RawDataIsNone(), empty.FloatDataIsNone(), empty.FloatDataLength()) == (True, False, 0)
    nothing, x = graph.ValueInfo(0), graph.ValueInfo(1)
    kind = fb.TensorTypeAndShape()
    for value, shape in ((nothing, None), (x, [1, 4, 4, 3])):
        kind.Init(value.ValueInfoType().Value().Bytes, value.ValueInfoType().Value().Pos)
        dims = kind.Shape()
        sizes = None if dims is None else [dims.Dim(i).Value().DimValue() for i in range(dims.DimLength())]
        assert sizes == shape
    assert graph.TestInputsValue(0).ExponentsAsNumpy().tolist() == [-5]


def test_raw_data_is_aligned_in_the_file() -> None:
    program = sample()
    data = encode(program)
    for tensor in program.constants.values():
        if tensor.data.nbytes >= 16:
            assert data.index(tensor.data.tobytes()) % 16 == 0


@pytest.mark.skipif(shutil.which("flatc") is None, reason="needs flatc, the FlatBuffers compiler")
def test_flatc_reads_what_we_write(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(encode_flatbuffer(sample()))
    schema = Path(fb.__file__).with_name("espdl.fbs")
    command = ["flatc", "--json", "--raw-binary", "--strict-json", "-o", str(tmp_path), str(schema), "--", "model.bin"]
    subprocess.run(command, check=True, cwd=tmp_path)
    graph = json.loads((tmp_path / "model.json").read_text("utf-8"))["graph"]
    assert [node["op_type"] for node in graph["node"]] == ["Conv", "Resize"]
    assert graph["initializer"][1]["dims"] == [1, 1, 200, 16]
    assert [value["name"] for value in graph["value_info"]] == ["", "x", "hidden", "y"]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_reference_file(path: Path) -> None:
    data = path.read_bytes()
    program = decode(data, source=str(path))
    written = encode(program)
    assert decode(written) == program
    assert encode(decode(written)) == written
    assert len(written) < 1.1 * len(data) + 4096
    graph = fb.Model.GetRootAs(data, 16).Graph()
    assert len(program.nodes) == graph.NodeLength() > 0
    assert len(program.constants) == graph.InitializerLength()
    assert len(program.test_inputs) == graph.TestInputsValueLength()
    assert len(program.test_outputs) == graph.TestOutputsValueLength()
    for index in range(graph.InitializerLength()):
        theirs = graph.Initializer(index)
        mine = program.constants[theirs.Name().decode()]
        raw = data[theirs._tab.Vector(theirs._tab.Offset(20)) :][: mine.data.nbytes]
        assert mine.data.tobytes() == raw
        assert list(mine.exponents) == theirs.ExponentsAsNumpy().tolist()


@pytest.mark.skipif(not GOLDEN, reason="needs the reference files (set TINSMITH_SHARED)")
def test_reference_files_carry_their_test_values() -> None:
    checked = 0
    for path in GOLDEN:
        if path.parent.parent.parent.name == "ops":
            program = decode(path.read_bytes())
            assert set(program.test_inputs) == {value.name for value in program.inputs}
            assert program.test_outputs
            checked += 1
    assert checked > 1000


def timed(action: Any) -> float:
    def once() -> float:
        start = time.process_time()
        action()
        return time.process_time() - start

    return min(once() for _ in range(3))


def test_weights_are_copied_as_a_slice() -> None:
    program = sample(weights=3_500_000 // 16)
    data = encode(program)
    assert len(data) > 3_500_000
    assert timed(lambda: encode(program)) < 0.25
    assert timed(lambda: decode(data)) < 0.25


def with_node(**changes: Any) -> Program:
    program = sample()
    return replace(program, nodes=(replace(program.nodes[0], **changes), *program.nodes[1:]))


def with_constant(tensor: Tensor, key: str = "") -> Program:
    program = sample()
    return replace(program, constants={**program.constants, key or tensor.name: tensor})


def with_value(value: Value, key: str = "") -> Program:
    program = sample()
    return replace(program, values={**program.values, key or value.name: value})


def int8(*shape: int) -> Any:
    return np.zeros(shape, np.int8)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (with_node(inputs=("nowhere",)), r"Conv 'conv': input 'nowhere' is computed nowhere before it"),
        (with_node(inputs=("y",)), r"input 'y' is computed nowhere before it"),
        (with_node(outputs=("hidden", "unknown")), r"output 'unknown' has no type"),
        (with_node(outputs=("x",)), r"output 'x' is computed already"),
        (with_node(outputs=("hidden", "hidden")), r"output 'hidden' is computed already"),
        (with_node(op_type=""), r"has no operator"),
        (with_node(attributes={"lut": "nothing"}), r"table 'nothing' is no constant"),
        (with_node(attributes={"lut": Tensor("w", int8(1))}), r"is no constant"),
        (with_node(attributes={"": 1}), r"attribute without a name"),
        (with_node(attributes={"a": 2**63}), r"Conv 'conv': attribute 'a' fits into no file"),
        (with_node(attributes={"a": (2**63,)}), r"attribute 'a' fits into no file"),
        (with_node(attributes={"a": 1e300}), r"exceeds single precision"),
        (with_node(attributes={"a": (1.0, 1e300)}), r"exceeds single precision"),
        (with_node(attributes={"a": None}), r"is not a number, a string"),
        (with_node(attributes={"a": [1, 2]}), r"is not a number, a string"),
        (with_node(attributes={"a": (1, "b")}), r"is not a number, a string"),
        (with_node(attributes={"a": "\ud800"}), r"attribute 'a' fits into no file"),
        (with_node(attributes={"a": Tensor("c", np.zeros(1, np.complex64))}), r"attribute 'a': has elements of type"),
        (with_constant(Tensor("c", np.array(["text"], object))), r"constant 'c': has elements of type object"),
        (with_constant(Tensor("c", int8(1), (5000,))), r"exponent beyond"),
        (with_constant(Tensor("c", int8(1)), key="d"), r"constant 'd': is filed under the wrong name"),
        (with_constant(Tensor("", int8(1))), r"empty name"),
        (with_constant(Tensor("x", int8(1))), r"'x': is the name of a constant and of a computed value"),
        (with_value(Value("v", DType.INT8, (1,)), key="u"), r"value 'u': is filed under the wrong name"),
        (with_value(Value("v", 3, (1,))), r"unknown type 3"),  # type: ignore[arg-type]
        (with_value(Value("v", DType.INT8, (2**31,))), r"has the shape \[2147483648\]"),
        (with_value(Value("v", DType.INT8, (1,) * 33)), r"which no file can hold"),
        (with_value(Value("v", DType.INT8, (1,), (-9999,))), r"exponent beyond"),
        (with_value(Value("x", DType.INT16, (1, 4, 4, 3))), r"input 'x': is missing among the program's values, or"),
        (replace(sample(), inputs=()), r"input 'x' is computed nowhere"),
        (replace(sample(), inputs=sample().inputs * 2), r"listed twice among the inputs"),
        (replace(sample(), nodes=sample().nodes[:1]), r"output 'y': is computed by no node"),
        (replace(sample(), test_inputs={"z": int8(1)}), r"test input 'z': is the name of no such value"),
        (replace(sample(), test_inputs={"x": np.zeros(1, np.int16)}), r"is INT16, and the value is INT8"),
        (replace(sample(), test_outputs={"y": np.zeros(1, object)}), r"test output 'y': has elements of type object"),
        (replace(sample(), name="\ud800"), r"program: holds something that the format cannot express"),
        (replace(sample(), model_version=2**63), r"cannot express"),
        (replace(sample(), ir_version=2**31), r"cannot express"),
    ],
)
def test_inconsistent_program(program: Program, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        encode(program)


def test_typed_fields_are_read() -> None:
    import flatbuffers

    builder = flatbuffers.Builder(0)
    data, name = builder.CreateNumpyVector(np.array([1, -2, 300], np.int32)), builder.CreateString("t")
    dims = builder.CreateNumpyVector(np.array([3], np.int64))
    fb.TensorStart(builder)
    fb.TensorAddName(builder, name)
    fb.TensorAddDims(builder, dims)
    fb.TensorAddDataType(builder, int(DType.INT16))
    fb.TensorAddInt32Data(builder, data)
    tensor = fb.TensorEnd(builder)
    program = decode_flatbuffer(around(builder, tensor))
    assert program.constants["t"].data.tolist() == [1, -2, 300]
    assert program.constants["t"].data.dtype == np.int16
    assert program.constants["t"].exponents == (0,)


def around(builder: Any, tensor: int) -> bytes:
    """A model that has nothing but one initializer."""
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(tensor)
    initializers = builder.EndVector()
    fb.GraphStart(builder)
    fb.GraphAddInitializer(builder, initializers)
    graph = fb.GraphEnd(builder)
    fb.ModelStart(builder)
    fb.ModelAddGraph(builder, graph)
    builder.Finish(fb.ModelEnd(builder))
    return bytes(builder.Output())


def test_arrays_of_a_file_are_read_only() -> None:
    program = decode(encode(sample()))
    for tensor in program.constants.values():
        with pytest.raises(ValueError, match="read-only"):
            tensor.data[...] = 0


def test_nodes_of_a_file_without_attributes() -> None:
    value = Value("x", DType.INT8, (1,))
    program = Program(
        (Node("Relu", "", ("x",), ("y",)),), (value,), (), {"x": value, "y": replace(value, name="y")}, {}
    )
    assert decode(encode(program)) == program


def test_an_error_names_the_file() -> None:
    with pytest.raises(FormatError, match=r"some\.espdl: is truncated"):
        decode(encode(sample())[:-1], source="some.espdl")
