"""The layers that take longest, and those that take longer than they have to."""

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
    timed = [row for row in rows if row.layer.single_ms is not None]
    timed.sort(key=lambda row: -(row.layer.single_ms or 0.0))
    longest = max((max(row.layer.single_ms or 0.0, row.layer.dual_ms or 0.0) for row in timed), default=0.0)
    return tuple(
        Bar(row, _length(row.layer.single_ms, longest), _length(row.layer.dual_ms, longest)) for row in timed[:shown]
    )


def _length(value: float | None, longest: float) -> float | None:
    return None if value is None or longest <= 0 else 100 * value / longest


def slow_groups(rows: tuple[Row, ...]) -> tuple[SlowGroup, ...]:
    """Layers that are slow for a reason by what to do about it, the largest gain first."""
    found: dict[str, list[tuple[float, Row]]] = {}
    for row in rows:
        if row.layer.slow is not None:
            found.setdefault(row.layer.slow.remedy, []).append((row.layer.slow.gain_ms, row))
    groups = [
        SlowGroup(remedy, sum(gain for gain, _ in each), tuple(row for _, row in sorted(each, key=lambda x: -x[0])))
        for remedy, each in found.items()
    ]
    return tuple(sorted(groups, key=lambda group: -group.gain_ms))
