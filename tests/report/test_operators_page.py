"""The manual's page of operators: the one in the repository is the one the code writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shell import ok
from tinsmith.ops import operators
from tinsmith.report.operators_page import operators_page
from tinsmith.targets import TARGETS

PAGE = Path(__file__).resolve().parents[2] / "docs/supported-operators.md"


def test_the_page_in_the_manual_is_current() -> None:
    assert PAGE.read_text("utf-8") == operators_page(), "run `make supported-operators`"


def test_the_command_prints_it() -> None:
    assert ok("ops", "--markdown") == operators_page()


def test_it_has_every_operator_and_every_chip() -> None:
    page = operators_page()
    assert [name for name in (*operators(), *TARGETS) if f"`{name}`" not in page and name != "Function"] == []


def test_every_limit_is_there_in_the_words_of_the_error() -> None:
    plain = operators_page().replace("\\", "").replace("&lt;", "<")
    limits = {constraint.message for operator in operators().values() for constraint in operator.constraints}
    assert [limit for limit in limits if limit.replace("\\", "") not in plain] == []


@pytest.mark.parametrize("operator", ["GlobalMaxPool", "Einsum", "RNN"])
def test_what_rewrites_enable_is_listed_with_how(operator: str) -> None:
    (section,) = (part for part in operators_page().split("\n## ") if part.startswith("Operators that rewrites"))
    (row, *_) = (line for line in section.splitlines() if f"`{operator}`" in line)
    assert row.count(" | ") == 1
    assert len(row.split(" | ")[1]) > 20


def test_rows_have_as_many_cells_as_their_table() -> None:
    columns = 0
    for line in operators_page().splitlines():
        cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
        assert cells == columns or not (cells and columns), line
        columns = cells
