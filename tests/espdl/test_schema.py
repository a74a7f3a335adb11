"""The schema, the code generated from it, and the reader's own view of it are one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tinsmith.espdl import fields
from tinsmith.espdl.schema import espdl_generated
from tinsmith.program import DType

FOLDER = Path(espdl_generated.__file__).parent
SCHEMA = (FOLDER / "espdl.fbs").read_text("utf-8")
UNIONS = {"TypeInfoValue"}

# DimensionValue → DIMENSION_VALUE; the one table with a longer name in the schema
CONSTANTS = {"TENSOR_TYPE_AND_SHAPE": "TENSOR_TYPE"}


def tables() -> dict[str, list[str]]:
    found = {}
    for name, body in re.findall(r"\btable (\w+) \{(.*?)\}", SCHEMA, re.DOTALL):
        entries = re.findall(r"(\w+):(\[?\w+\]?);", body)
        found[name] = [item for field, kind in entries for item in ([f"{field}_type"] * (kind in UNIONS) + [field])]
    return found


def enum(name: str) -> dict[str, int]:
    body = re.search(rf"enum {name} : int\d+ \{{(.*?)\}}", SCHEMA, re.DOTALL)
    assert body is not None
    return {key: int(value) for key, value in re.findall(r"(\w+) = (\d+)", body.group(1))}


def test_the_reader_knows_the_fields_of_the_schema() -> None:
    known = tables()
    checked = 0
    for table, names in known.items():
        constant = re.sub(r"(?<!^)(?=[A-Z])", "_", table).upper()
        constant = CONSTANTS.get(constant, constant)
        if hasattr(fields, constant):
            assert list(getattr(fields, constant)) == names, table
            assert list(getattr(fields, constant).values()) == list(range(len(names)))
            checked += 1
    assert checked == 14


def test_the_numbers_of_the_enums() -> None:
    assert enum("AttributeType") == {item.name: item.value for item in fields.AttributeType}
    assert enum("DimensionValueType") == {item.name: item.value for item in fields.DimensionKind}
    assert enum("TensorDataType") == {item.name: item.value for item in DType}
    assert espdl_generated.TypeInfoValue.tensor_type == fields.TypeKind.TENSOR
    assert espdl_generated.TypeInfoValue.optional_type == fields.TypeKind.OPTIONAL


def test_the_generated_code_is_what_flatc_makes_of_the_schema(tmp_path: Path) -> None:
    if shutil.which("flatc") is None:
        pytest.skip("needs flatc, the FlatBuffers compiler")
    installed = subprocess.run(["flatc", "--version"], check=True, capture_output=True, text=True).stdout.split()[-1]
    pinned = re.search(r"flatc (\d+\.\d+\.\d+)", SCHEMA)
    assert pinned is not None
    if installed != pinned.group(1):
        pytest.skip(f"needs flatc {pinned.group(1)}; {installed} writes other code")
    command = ["flatc", "--python", "--gen-onefile", "-o", str(tmp_path), str(FOLDER / "espdl.fbs")]
    subprocess.run(command, check=True)
    made = tmp_path / Path(espdl_generated.__file__).name
    assert made.read_text("utf-8") == Path(espdl_generated.__file__).read_text("utf-8")
