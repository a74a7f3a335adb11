"""Files that lie: every one ends in `FormatError`, soon, and without a memory to match its promises."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tools.fuzz_espdl import mutate, verdict

from tests.espdl.programs import sample
from tests.shared import shared_files
from tinsmith.errors import FormatError
from tinsmith.espdl import decode, encode
from tinsmith.espdl.decoder import decode_flatbuffer
from tinsmith.espdl.fields import AttributeType
from tinsmith.espdl.schema import espdl_generated as fb
from tinsmith.program import DType

Build = Callable[[Any], dict[str, int]]


def offsets(b: Any, items: list[int]) -> int:
    b.StartVector(4, len(items), 4)
    for item in reversed(items):
        b.PrependUOffsetTRelative(item)
    return int(b.EndVector())


def model(build: Build) -> bytes:
    """A FlatBuffer whose graph has the vectors that ``build`` returns, by field name."""
    b = flatbuffers.Builder(0)
    vectors = build(b)
    functions = {"Functions": vectors.pop("Functions")} if "Functions" in vectors else {}
    b.Finish(table(b, "Model", Graph=table(b, "Graph", **vectors), **functions))
    return bytes(b.Output())


def table(b: Any, kind: str, **values: Any) -> int:
    getattr(fb, f"{kind}Start")(b)
    for name, value in values.items():
        getattr(fb, f"{kind}Add{name}")(b, value)
    return int(getattr(fb, f"{kind}End")(b))


def attribute(kind: AttributeType, **values: Any) -> Build:
    def build(b: Any) -> dict[str, int]:
        name, op_type = b.CreateString("a"), b.CreateString("Op")
        made = {key: value(b) for key, value in values.items()}
        one = table(b, "Attribute", Name=name, AttrType=int(kind), **made)
        return {"Node": offsets(b, [table(b, "Node", OpType=op_type, Attribute=offsets(b, [one]))])}

    return build


def tensor(dims: tuple[int, ...], dtype: int = DType.INT8, blocks: int = 1, **values: Any) -> Build:
    def build(b: Any) -> dict[str, int]:
        name = b.CreateString("t")
        shape = b.CreateNumpyVector(np.array(dims, np.int64))
        b.StartVector(16, blocks, 16)
        for _ in range(blocks * 4):
            b.PrependUint32(0)
        raw = b.EndVector()
        made = {key: value(b) if callable(value) else value for key, value in values.items()}
        one = table(
            b, "Tensor", Name=name, Dims=shape, DataType=int(dtype), **({"RawData": raw} if blocks else {}), **made
        )
        return {"Initializer": offsets(b, [one])}

    return build


def value(type_kind: int, elem: int = 3, size: int = 1) -> Build:
    def build(b: Any) -> dict[str, int]:
        name = b.CreateString("v")
        dim = table(b, "Dimension", Value=table(b, "DimensionValue", DimType=1, DimValue=size))
        shape = table(b, "TensorShape", Dim=offsets(b, [dim]))
        kind = table(b, "TensorTypeAndShape", ElemType=elem, Shape=shape)
        info = table(b, "TypeInfo", ValueType=type_kind, Value=kind)
        return {"ValueInfo": offsets(b, [table(b, "ValueInfo", Name=name, ValueInfoType=info)])}

    return build


def exponents(b: Any) -> int:
    return int(b.CreateNumpyVector(np.array([1 << 40], np.int64)))


def function(b: Any) -> dict[str, int]:
    return {"Functions": offsets(b, [table(b, "Function")])}


def external(b: Any) -> int:
    return offsets(b, [table(b, "StringStringEntry")])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (attribute(AttributeType.GRAPH), r"model\.graph\.node\[0\]\.attribute\[0\] has attribute type 5"),
        (attribute(AttributeType.UNDEFINED), r"has attribute type 0"),
        (attribute(77), r"has attribute type 77"),  # type: ignore[arg-type]
        (attribute(AttributeType.INT), r"has a type and no value"),
        (attribute(AttributeType.TENSOR), r"has a type and no value"),
        (attribute(AttributeType.STRING, S=lambda b: b.CreateByteVector(b"\xff\xfe")), r"\.s is not valid UTF-8"),
        (tensor((17,)), r"initializer\[0\] \('t'\) holds 16 bytes, and its shape \[17\] needs 17"),
        (tensor((1 << 31,)), r"has the shape"),
        (tensor((1 << 30,) * 32), r"holds 16 bytes"),
        (tensor((0, (1 << 31) - 1, (1 << 31) - 1, (1 << 31) - 1)), r"has the shape"),
        (tensor((-1,)), r"has the shape \[-1\]"),
        (tensor((1,) * 33), r"has the shape"),
        (tensor((1,), dtype=DType.STRING), r"element type STRING"),
        (tensor((1,), dtype=DType.UNDEFINED), r"element type UNDEFINED"),
        (tensor((1,), dtype=99), r"element type 99, which does not exist"),
        (tensor((2,), blocks=0), r"holds 0 elements, and its shape \[2\] needs 2"),
        (tensor((1,), DataLocation=1), r"keeps its elements in another file"),
        (tensor((1,), ExternalData=external), r"keeps its elements in another file"),
        (tensor((1,), Exponents=exponents), r"exponent beyond"),
        (value(2), r"is no tensor type"),
        (value(1, elem=-1), r"element type -1"),
        (value(1, size=-5), r"has the size -5"),
        (value(1, size=1 << 40), r"has the size"),
        (function, r"defines functions"),
    ],
)
def test_what_no_program_can_say(build: Build, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        decode_flatbuffer(model(build))


def test_the_builders_above_make_readable_files() -> None:
    assert decode_flatbuffer(model(tensor((16,)))).constants["t"].data.tolist() == [0] * 16
    assert decode_flatbuffer(model(value(1))).values["v"].shape == (1,)
    assert decode_flatbuffer(model(value(0))).values["v"].dtype is DType.UNDEFINED


@pytest.mark.parametrize("field", ["Initializer", "ValueInfo"])
def test_two_things_of_one_name(field: str) -> None:
    def build(b: Any) -> dict[str, int]:
        name = b.CreateString("same")
        dims = b.CreateNumpyVector(np.zeros(1, np.int64))
        if field == "Initializer":
            item = table(b, "Tensor", Name=name, DataType=3, Dims=dims)
        else:
            item = table(b, "ValueInfo", Name=name)
        return {field: offsets(b, [item, item])}

    with pytest.raises(FormatError, match="has the name 'same', which is used already"):
        decode_flatbuffer(model(build))


def unfolding(b: Any) -> dict[str, int]:
    """40,000 times the same node, each with 40,000 times the same input name."""
    name, op_type = b.CreateString("x" * 100), b.CreateString("Op")
    inputs = offsets(b, [name] * 40_000)
    return {"Node": offsets(b, [table(b, "Node", OpType=op_type, Input=inputs)] * 40_000)}


def same_weights(b: Any) -> dict[str, int]:
    """20,000 constants in the same megabyte."""
    dims = b.CreateNumpyVector(np.array([1 << 20], np.int64))
    b.StartVector(16, 1 << 16, 16)
    b.Pad(1 << 20)
    raw = b.EndVector()
    names = [b.CreateString(f"t{index}") for index in range(20_000)]
    tensors = [table(b, "Tensor", Name=name, Dims=dims, DataType=3, RawData=raw) for name in names]
    return {"Initializer": offsets(b, tensors)}


def same_ints(b: Any) -> dict[str, int]:
    """10,000 attributes, each the same 10,000 integers."""
    ints, op_type = b.CreateNumpyVector(np.zeros(10_000, np.int64)), b.CreateString("Op")
    names = [b.CreateString(f"a{index}") for index in range(10_000)]
    attributes = [table(b, "Attribute", Name=name, AttrType=7, Ints=ints) for name in names]
    return {"Node": offsets(b, [table(b, "Node", OpType=op_type, Attribute=offsets(b, attributes))])}


@pytest.mark.parametrize("build", [unfolding, same_weights, same_ints])
def test_shared_parts_do_not_unfold(build: Build) -> None:
    data = model(build)
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(FormatError, match="shared so often"):
        decode_flatbuffer(data)
    seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 5
    assert peak < 60 * len(data) + (1 << 22)


def test_a_node_that_is_its_own_subgraph() -> None:
    """A cycle: the attribute's graph is the graph that holds it."""
    b = flatbuffers.Builder(0)
    name, op_type = b.CreateString("body"), b.CreateString("Loop")
    one = table(b, "Attribute", Name=name, AttrType=int(AttributeType.GRAPH), G=name)
    node = table(b, "Node", OpType=op_type, Attribute=offsets(b, [one]))
    graph = table(b, "Graph", Node=offsets(b, [node]))
    b.Finish(table(b, "Model", Graph=graph))
    data = bytearray(b.Output())
    place = fb.Model.GetRootAs(data, 0).Graph().Node(0).Attribute(0)._tab
    slot = place.Pos + place.Offset(20)
    data[slot : slot + 4] = struct.pack("<I", (fb.Model.GetRootAs(data, 0).Graph()._tab.Pos - slot) & 0xFFFFFFFF)
    with pytest.raises(FormatError, match="has attribute type 5"):
        decode_flatbuffer(bytes(data))


@pytest.mark.parametrize("payload", [b"", b"\0" * 3, b"\0" * 4, b"\xff" * 64, struct.pack("<I", 60) + bytes(60)])
def test_not_even_a_flatbuffer(payload: bytes) -> None:
    with pytest.raises(FormatError, match="model"):
        decode_flatbuffer(payload)


def test_no_graph() -> None:
    b = flatbuffers.Builder(0)
    b.Finish(table(b, "Model"))
    with pytest.raises(FormatError, match="model has no graph"):
        decode_flatbuffer(bytes(b.Output()))


def test_every_truncation() -> None:
    data = encode(sample(1))
    for length in range(len(data)):
        with pytest.raises(FormatError, match=r"truncated|starts with"):
            decode(data[:length])
        if length > 16:
            header = struct.pack("<4sIII", b"EDL2", 0, length - 16, 0)
            verdict(header + data[16:length])


SEEDS = [encode(sample(1)), *(path.read_bytes() for path in shared_files("golden/ops/*_int8/[GLR]*/*.espdl")[::25])]


@given(st.integers(0, 2**63), st.integers(0, len(SEEDS) - 1))
@example(0, 0)
def test_damaged_files(seed: int, which: int) -> None:
    """Each call damages a file ten times; `verdict` lets nothing but `FormatError` and `ProgramError` pass."""
    dice = random.Random(seed)
    for _ in range(10):
        assert verdict(mutate(SEEDS[which], dice)) in ("refused", "read, inconsistent", "read, stable")


@given(st.binary(max_size=300))
def test_any_bytes(payload: bytes) -> None:
    with pytest.raises(FormatError):
        decode_flatbuffer(payload)
