from __future__ import annotations

import numpy as np
import pytest

from tinsmith.ops.emit import Builder
from tinsmith.ops.ranges import Range, known_range


def clipped(builder: Builder, low: float, high: float, tensor: str = "x") -> str:
    limits = (builder.constant(np.float32(low)), builder.constant(np.float32(high)))
    return str(builder.op("Clip", tensor, *limits))


def test_nothing_known() -> None:
    builder = Builder()
    assert known_range(builder, "x", 8) == (-128, 127)
    assert known_range(builder, builder.op("Add", "x", "x"), 16) == (-32768, 32767)
    assert known_range(builder, builder.op("Clip", "x", "low", "high"), 8) == (-128, 127)


def test_clips_tables_and_constants() -> None:
    builder = Builder()
    assert known_range(builder, clipped(builder, 0, 40), 8) == (0, 40)
    assert known_range(builder, clipped(builder, 0, 40000), 8) == (0, 127)
    assert known_range(builder, builder.op("Relu", "x"), 8) == (0, 127)
    table = builder.constant(np.asarray([-3, 0, 90], np.float32))
    assert known_range(builder, builder.op("Gather", table, "i"), 8) == (-3, 90)
    assert known_range(builder, table, 8) == (-3, 90)


@pytest.mark.parametrize(
    ("op_type", "low", "high", "expected"),
    [
        ("Round", -0.5, 2.5, (-1, 3)),
        ("Floor", 0.0, 2.5, (0, 3)),
        ("Transpose", 0.0, 9.0, (0, 9)),
        ("MaxPool", 0.0, 9.0, (0, 9)),
    ],
)
def test_through_steps(op_type: str, low: float, high: float, expected: Range) -> None:
    builder = Builder()
    assert known_range(builder, builder.op(op_type, clipped(builder, low, high)), 8) == expected


def test_joined_parts() -> None:
    builder = Builder()
    joined = builder.op("Concat", clipped(builder, 0, 4), clipped(builder, -5, 2), axis=1)
    assert known_range(builder, joined, 8) == (-5, 4)
    first, _ = builder.op("Split", joined, outputs=2)
    assert known_range(builder, first, 8) == (-5, 4)


def test_long_chains_end() -> None:
    builder = Builder()
    tensor = clipped(builder, 0, 4)
    for _ in range(200):
        tensor = builder.op("Identity", tensor)
    assert known_range(builder, tensor, 8) == (-128, 127)
