"""The layers that take longest."""

from __future__ import annotations

from dataclasses import dataclass

from tinsmith.report.html.rows import Row

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


def slowest(rows: tuple[Row, ...], shown: int = _SHOWN) -> tuple[Bar, ...]:
    """Those that take longest on one core, the slowest first; empty without times."""
    timed = [row for row in rows if row.layer.single_ms is not None]
    timed.sort(key=lambda row: -(row.layer.single_ms or 0.0))
    longest = max((max(row.layer.single_ms or 0.0, row.layer.dual_ms or 0.0) for row in timed), default=0.0)
    return tuple(
        Bar(row, _length(row.layer.single_ms, longest), _length(row.layer.dual_ms, longest)) for row in timed[:shown]
    )


def _length(value: float | None, longest: float) -> float | None:
    return None if value is None or longest <= 0 else 100 * value / longest
