"""What a program costs on one board and on another."""

from __future__ import annotations

import pytest

from tests.estimate.programs import Builder
from tinsmith.errors import RecipeError
from tinsmith.estimate.boards import own_board
from tinsmith.program import Program
from tinsmith.report.insight.costs import costs
from tinsmith.targets import find

S3 = find("esp32s3")


def chain() -> Program:
    build = Builder()
    first = build.node("Mul", *[build.input(1600)] * 2)
    small = build.node("Concat", first, lengths=(1600,), attributes={"axis": 0})
    return build.program(build.node("Mul", small, small))


def test_internal_ram_is_set_aside_only_beside_psram() -> None:
    program = chain()
    with_psram, without = own_board("esp32s3", 2**24, 2**20), own_board("esp32s3", 2**24)
    beside = costs(program, S3, flash=0, board=with_psram, internal=2000).memory
    assert (beside.internal, beside.external) == (1600, 1600)
    alone = costs(program, S3, flash=0, board=without, internal=2000).memory
    assert (alone.internal, alone.external) == (0, 3200)
    assert alone == costs(program, S3, flash=0, board=without).memory
    fits = {one.board: one for one in costs(program, S3, flash=0, internal=300_000).boards}
    assert fits["ESP32-S3-DevKitC-1-N8"].fits
    assert not fits["ESP32-S3-EYE"].fits  # so much internal RAM is not there


def test_a_size_is_not_negative() -> None:
    with pytest.raises(RecipeError, match="no size"):
        costs(chain(), S3, flash=0, internal=-1)
