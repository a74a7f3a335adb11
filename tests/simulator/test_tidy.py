"""Clips that follow each other become one, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from tinsmith.ops.emit import Builder
from tinsmith.simulator.tidy import merged_clips


def clipped(builder: Builder, tensor: str, low: float, high: float) -> str:
    return str(builder.op("Clip", tensor, builder.constant(np.float32(low)), builder.constant(np.float32(high))))


def bounds(builder: Builder, last: str, kept: tuple[str, ...] = ()) -> list[tuple[float, float]]:
    steps = merged_clips(builder, [last, *kept])
    assert steps[-1].outputs == (last,)
    return [tuple(float(builder.constants[name]) for name in step.inputs[1:]) for step in steps]  # type: ignore[misc]


@pytest.mark.parametrize("second", [(-10, 96), (3, 500), (-500, 500), (5, 6), (127, 200)])
def test_clips_become_one_that_clips_to_both(second: tuple[float, float]) -> None:
    builder = Builder()
    last = clipped(builder, clipped(builder, "x", 0, 127), *second)
    (found,) = bounds(builder, last)
    x = np.arange(-700, 700)
    assert np.array_equal(np.clip(x, *found), np.clip(np.clip(x, 0, 127), *second))


def test_three_clips_become_one() -> None:
    builder = Builder()
    last = clipped(builder, clipped(builder, clipped(builder, "x", 0, 127), -5, 90), 10, 100)
    assert bounds(builder, last) == [(10, 90)]
    assert merged_clips(builder, [last])[0].inputs[0] == "x"


def test_what_somebody_else_reads_stays() -> None:
    builder = Builder()
    first = clipped(builder, "x", 0, 127)
    last = clipped(builder, first, 0, 90)
    assert bounds(builder, last, (first,)) == [(0, 127), (0, 90)]
    builder.op("Neg", first)
    assert [step.op_type for step in merged_clips(builder, [last])] == ["Clip", "Clip", "Neg"]


def test_ranges_that_have_nothing_in_common_stay() -> None:
    builder = Builder()
    last = clipped(builder, clipped(builder, "x", 0, 10), 20, 30)
    assert bounds(builder, last) == [(0, 10), (20, 30)]


def test_computed_bounds_stay() -> None:
    builder = Builder()
    last = builder.op("Clip", clipped(builder, "x", 0, 10), "low", "high")
    assert [step.inputs for step in merged_clips(builder, [last])] == [step.inputs for step in builder.steps]
