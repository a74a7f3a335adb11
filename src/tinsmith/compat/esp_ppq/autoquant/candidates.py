"""Which candidates are kept, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Record = dict[str, Any]
DIRECTIONS = ("maximize", "minimize")


def low_latency_candidate_filter(record: Record) -> bool:
    """Whether a candidate costs no time on the chip: nothing runs in int16 or is split for it."""
    strategy = record.get("strategy", {})
    return not any(strategy.get(name) for name in ("mixed_precision", "int16_budget", "horizontal_layer_split"))


def better(score: float, other: float, direction: str) -> bool:
    """Whether a score is better than another."""
    return score > other if direction == "maximize" else score < other


def ranked(records: Sequence[Record], direction: str) -> list[Record]:
    """The best first; of equal ones the first that was tried."""
    sign = -1.0 if direction == "maximize" else 1.0
    return sorted(records, key=lambda record: (sign * record["score"], record["index"]))


def best(
    records: Sequence[Record], count: int, direction: str, preferred: Callable[[Record], bool] | None
) -> list[Record]:
    """The candidates that are kept, best first.

    Args:
        records: All of them.
        count: How many.
        direction: ``maximize`` or ``minimize``.
        preferred: Half of those kept are to pass it, where so many do, and the other half not.
    """
    order = ranked(records, direction)
    if preferred is None:
        return order[:count]
    passing = [record for record in order if preferred(record)]
    others = [record for record in order if not preferred(record)]
    from_passing = max(count // 2, count - len(others))
    kept = [*passing[:from_passing], *others[: count - min(from_passing, len(passing))]]
    return ranked(kept, direction)
