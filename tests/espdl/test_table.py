"""The `.json` quantization table."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinsmith.errors import FormatError
from tinsmith.espdl import TableNode, load_table, table
from tinsmith.espdl.table_json import platform
from tinsmith.quant.format import Format, Formats
from tinsmith.targets import find

S3 = find("esp32s3")
FORMATS = Formats(
    values={
        "x": Format(8, (-5,)),
        "w": Format(8, (-7, -8, -7), axis=0),
        "b": Format(32, (-12, -13, -12), axis=0),
        "y": Format(8, (-4,)),
        "z": Format(16, (-9,)),
    },
    uses={("add", 1): Format(8, (-3,)), ("add", 0): Format(8, (-4,))},
)
NODES = [
    TableNode("conv", "Conv", ("x", "w", "b"), ("y",)),
    TableNode("add", "Add", ("y", "x"), ("z",), bits=16),
    TableNode("softmax", "Softmax", ("z", ""), ("p",), bits=32),
]


def test_a_table_comes_back() -> None:
    assert load_table(table(FORMATS, NODES, S3)) == FORMATS


def test_the_same_formats_give_the_same_text() -> None:
    assert table(FORMATS, NODES, S3) == table(FORMATS, NODES, S3)


@st.composite
def any_formats(draw: st.DrawFn) -> Formats:
    exponent = st.integers(-1000, 1000)
    per_tensor = st.builds(Format, st.sampled_from([8, 16, 20, 32, 40, 64]), st.tuples(exponent))
    per_channel = st.builds(
        Format, st.sampled_from([8, 16]), st.lists(exponent, min_size=1, max_size=5).map(tuple), st.integers(-3, 3)
    )
    some = per_tensor | per_channel
    names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    return Formats(
        draw(st.dictionaries(names, some, max_size=6)),
        draw(st.dictionaries(st.tuples(names, st.integers(0, 5)), some, max_size=4)),
    )


@given(any_formats())
def test_any_formats_come_back(formats: Formats) -> None:
    assert load_table(table(formats, NODES, S3)) == formats


def test_what_scripts_read() -> None:
    document = json.loads(table(FORMATS, NODES, S3))
    assert document["dispatchings"] == {"conv": "ESPDL_S3_INT8", "add": "ESPDL_S3_INT16", "softmax": "FP32"}
    conv = document["configs"]["conv"]
    assert list(conv) == ["x", "w", "b", "y"]
    assert conv["w"]["policy"] == {
        "PER_TENSOR": False,
        "PER_CHANNEL": True,
        "LINEAR": True,
        "FLOATING": False,
        "SYMMETRICAL": True,
        "ASYMMETRICAL": False,
        "POWER_OF_2": True,
        "DYNAMIC": False,
    }
    assert [conv[name]["state"] for name in conv] == ["ACTIVATED", "ACTIVATED", "PASSIVE", "ACTIVATED"]
    assert (conv["x"]["bit_width"], conv["x"]["quant_min"], conv["x"]["quant_max"]) == (8, -128, 127)
    assert (conv["b"]["quant_min"], conv["b"]["quant_max"]) == (-(2**31), 2**31 - 1)
    values = document["values"]
    assert values[str(conv["w"]["hash"])]["scale"] == [2**-7, 2**-8, 2**-7]
    assert values[str(conv["w"]["hash"])]["zero_point"] == [0.0, 0.0, 0.0]
    assert values[str(conv["x"]["hash"])]["scale"] == 2**-5
    assert list(document["configs"]["softmax"]) == ["z"]


def test_a_format_of_one_use() -> None:
    document = json.loads(table(FORMATS, NODES, S3))
    x = document["configs"]["add"]["x"]
    assert document["values"][str(x["hash"])]["scale"] == 2**-3
    assert document["values"][str(x["dominator"])]["scale"] == 2**-5
    assert x["state"] == "OVERLAPPED"


@pytest.mark.parametrize(
    ("target", "bits", "name"),
    [
        ("esp32p4", 8, "ESPDL_INT8"),
        ("esp32s31", 16, "ESPDL_INT16"),
        ("esp32s3", 8, "ESPDL_S3_INT8"),
        ("esp32c3", 16, "ESPDL_C_INT16"),
        ("esp32p4", 32, "FP32"),
    ],
)
def test_platform(target: str, bits: int, name: str) -> None:
    assert platform(find(target), bits) == name


def foreign(**changes: Any) -> dict[str, Any]:
    """A table as esp-ppq lays it out."""

    def config(key: int, dominator: int, bits: int = 8, state: str = "ACTIVATED") -> dict[str, Any]:
        return {"bit_width": bits, "policy": {}, "state": state, "hash": key, "dominator": dominator}

    document: dict[str, Any] = {
        "configs": {
            "conv": {
                "x": config(1, 1),
                "w": config(2, 2),
                "b": config(3, 3, bits=32, state="PASSIVE"),
                "y": config(4, 4),
            },
            "relu": {"y": config(5, 4, state="OVERLAPPED"), "": config(6, 6, state="FP32")},
        },
        "dispatchings": {"conv": "ESPDL_INT8"},
        "values": {
            "1": {"scale": 0.03125, "zero_point": 0.0},
            "2": {"scale": [0.5, 0.25], "zero_point": [0.0, 0.0]},
            "3": {"scale": [0.5, 0.25], "zero_point": [0.0, 0.0]},
            "4": {"scale": 0.25, "zero_point": 0.0},
            "5": {"scale": 0.25, "zero_point": 0.0},
        },
    }
    document["values"].update(changes)
    return document


def test_tables_of_other_exporters() -> None:
    assert load_table(json.dumps(foreign()), axes={"w": 0}) == Formats(
        {"x": Format(8, (-5,)), "w": Format(8, (-1, -2), axis=0), "y": Format(8, (-2,))}
    )


def contradicting() -> dict[str, Any]:
    document = foreign()
    document["configs"]["relu"]["y"]["dominator"] = 5
    document["values"]["5"]["scale"] = 1.0
    return document


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t\.json: is no JSON"),
        ("[" * 100_000, r"is no JSON"),
        ("[]", r"is no quantization table"),
        ("{}", r"is no quantization table \(KeyError: 'configs'\)"),
        ('{"formats": 3, "values": {}}', r"is no quantization table"),
        ('{"formats": {"values": {"x": 1}, "uses": []}, "values": {}}', r"is no quantization table \(KeyError: '1'\)"),
        ('{"formats": {}, "values": {"1": {"scale": 0.3, "bit_width": 8}}}', r"the scale 0\.3 at '1', .* power of two"),
        ('{"formats": {}, "values": {"1": {"scale": NaN, "bit_width": 8}}}', r"no power of two"),
        ('{"formats": {}, "values": {"1": {"scale": -0.5, "bit_width": 8}}}', r"no power of two"),
        ('{"formats": {}, "values": {"1": {"scale": 0, "bit_width": 8}}}', r"no power of two"),
        ('{"formats": {}, "values": {"1": {"scale": "a", "bit_width": 8}}}', r"no power of two"),
        ('{"formats": {}, "values": {"1": {"scale": 0.5, "bit_width": 800}}}', r"bit width 800"),
        ('{"formats": {}, "values": {"1": {"scale": [0.5], "bit_width": 8}}}', r"along which axis"),
        ('{"formats": {}, "values": {"1": {"scale": [0.5], "bit_width": 8, "axis": "a"}}}', r"axis 'a'"),
        (json.dumps(foreign()), r"does not say along which axis the scales of 'w' run"),
        (json.dumps(contradicting()), r"gives 'y' two formats"),
        (json.dumps(foreign(**{"1": {"scale": 0.3}})), r"scale 0\.3 at 'x'"),
    ],
)
def test_not_a_table(text: str, message: str) -> None:
    axes = {} if "along" in message else {"w": 0}
    with pytest.raises(FormatError, match=message):
        load_table(text, axes=axes, source="t.json")
