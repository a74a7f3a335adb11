"""The layers that take longest, and those that take longer than they have to."""

from __future__ import annotations

from dataclasses import dataclass

from tinsmith.report.html.rows import Row, rows_of
from tinsmith.report.insight.ranking import by_remedy, by_time, gain_of

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Bar:
    """A layer among the slowest.

    Attributes:
        row: The layer.
        single, dual: Lengths of its bars in percent of the longest; None where there is no time.
    """

    row: Row
    single: float | None
    dual: float | None


@dataclass(frozen=True, slots=True)
class SlowGroup:
    """Layers that one remedy makes faster.

    Attributes:
        remedy: What to do.
        gain_ms: What it saves in all of them, estimated.
        rows: The layers, those that gain most first.
    """

    remedy: str
    gain_ms: float
    rows: tuple[Row, ...]


def slowest(rows: tuple[Row, ...], shown: int = _SHOWN) -> tuple[Bar, ...]:
    """Those that take longest on one core, the slowest first; empty without times."""
    timed = rows_of(by_time(row.layer for row in rows), rows)
    longest = max((max(row.layer.single_ms or 0.0, row.layer.dual_ms or 0.0) for row in timed), default=0.0)
    return tuple(
        Bar(row, _length(row.layer.single_ms, longest), _length(row.layer.dual_ms, longest)) for row in timed[:shown]
    )


def _length(value: float | None, longest: float) -> float | None:
    return None if value is None or longest <= 0 else 100 * value / longest


def slow_groups(rows: tuple[Row, ...]) -> tuple[SlowGroup, ...]:
    """Layers that are slow for a reason by what to do about it, the largest gain first."""
    return tuple(
        SlowGroup(remedy, gain, tuple(rows_of(sorted(slow, key=lambda layer: -gain_of(layer)), rows)))
        for remedy, gain, slow in by_remedy(row.layer for row in rows)
    )
