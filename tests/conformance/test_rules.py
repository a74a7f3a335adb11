"""The rules refuse nothing that runs right: the vendor's files keep them, but for what the kernels do get wrong."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.shared import shared_files, shared_path
from tinsmith.espdl import read
from tinsmith.ops import operators
from tinsmith.simulator.legality import violations
from tinsmith.targets import find

ALONE = shared_files("golden/ops/*/*/*.espdl")
WHOLE = [*shared_files("golden/models/*.espdl"), *shared_files("golden/published/*.espdl")]

WIDTHS = ("int8", "int16", "float32")
BOTH_SIDES = "sticks out on both sides of"
"""Pools that the C code runs as meant and the assembly does not."""
WRAPS = "and wrap around its accumulator of 32 bits"
"""A bias that its exporter cut off at 32 bits."""


def told(path: Path, chip: str) -> list[str]:
    return violations(read(path), find(chip))


@pytest.mark.skipif(not WHOLE, reason="needs the reference files (set TINSMITH_SHARED)")
@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_published_models_keep_the_rules(path: Path) -> None:
    assert [reason for reason in told(path, path.stem.split("__")[0]) if WRAPS not in reason] == []


@pytest.mark.skipif(not ALONE, reason="needs the reference files (set TINSMITH_SHARED)")
@pytest.mark.parametrize("folder", sorted({path.parents[1] for path in ALONE}), ids=lambda path: path.name)
def test_single_operators_keep_the_rules(folder: Path) -> None:
    chip = folder.name.rpartition("_")[0]
    found = {path.stem: told(path, chip) for path in ALONE if path.parents[1] == folder}
    broken = {name: reasons for name, reasons in found.items() if reasons}
    assert {name: reasons for name, reasons in broken.items() if not all(BOTH_SIDES in r for r in reasons)} == {}


def test_precisions_are_those_of_the_vendors_table() -> None:
    with shared_path("spec/operators.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if any(row[width] for width in WIDTHS)]
    assert len(rows) > 60
    claimed = {row["operator"]: {width for width in WIDTHS if row[width] == "yes"} for row in rows}
    claimed["Resize"].add("int16")  # by way of int8, see its lowering
    assert {name: set(operators()[name].types) for name in claimed} == claimed
