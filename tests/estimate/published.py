"""Measurements that Espressif published, with the files they were made with."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest

from tests.shared import ROOT, shared_path
from tinsmith.espdl import read
from tinsmith.program import Program

TABLE = ROOT / "spec/published.csv"


def rows() -> list[object]:
    """Parameters of tests: one row of the table each, or one that skips where the table is absent."""
    if not TABLE.exists():
        return [pytest.param({}, id="absent", marks=pytest.mark.skip(reason=f"needs the reference files: {TABLE}"))]
    with TABLE.open(encoding="utf-8") as file:
        return [pytest.param(row, id=f"{row['target']}-{row['mode']}-{row['model']}") for row in csv.DictReader(file)]


def program(row: dict[str, str]) -> Program:
    """The file of a row."""
    return _read(shared_path(f"golden/published/{row['target']}__{row['model']}"))


@cache
def _read(path: Path) -> Program:
    return read(path)
