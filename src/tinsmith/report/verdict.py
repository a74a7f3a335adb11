"""A verdict for the terminal: what changes, what is refused, and how many nodes stay as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from tinsmith.report.terminal import plain_table

if TYPE_CHECKING:
    from tinsmith.verdict.result import Row, Verdict

_NAME = re.compile(r" (?:'[^']*'|\"[^\"]*\")")


def verdict_head(verdict: Verdict) -> str:
    """One line: the model, the chip, the verdict."""
    said = "deploys" if verdict.deployable else f"does not deploy: {_what_is_wrong(verdict)}"
    return f"{verdict.model} on {verdict.target}, ESP-DL {verdict.esp_dl}: {said}"


def _what_is_wrong(verdict: Verdict) -> str:
    refused, general = len(verdict.refused), len(verdict.problems)
    nodes = f"{refused} node{'s are' if refused > 1 else ' is'} refused" if refused else ""
    rest = f"{general} problem{'s' if general > 1 else ''} of the model" if general else ""
    return " and ".join(part for part in (nodes, rest) if part) or "not all of it could be looked at"


def verdict_table(verdict: Verdict, *, every: bool) -> Table:
    """What becomes of the nodes.

    Args:
        verdict: The verdict.
        every: A row for each node; else one for all nodes of the same fate, and one for those that stay as they are.
    """
    table = plain_table("node", "operator", "runs in", "how", left=4)
    if every:
        groups = [[row] for row in verdict.rows]
    else:
        groups = _alike(row for row in verdict.rows if not row.plain and not row.reasons)
    for group in groups:
        first = group[0]
        how = "; ".join(part for part in (_anonymous(first, len(group)), first.why) if part)
        names = _names([row.node for row in group], shown=1)
        table.add_row(names, _names(list(dict.fromkeys(row.operator for row in group))), _outcome(first), how)
    if not every:
        for group in _alike(row for row in verdict.rows if row.plain):
            table.add_row(f"{len(group)} node{'s' if len(group) > 1 else ''}", "", group[0].outcome, "as they are")
    return table


def _outcome(row: Row) -> str:
    return "" if row.outcome in ("constant", "removed") else row.outcome


def _anonymous(row: Row, count: int) -> str:
    """How the node changes; without the names of its neighbours where it stands for others."""
    return row.change if count == 1 else _NAME.sub("", row.change)


def _alike(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows of the same fate; those that change into something only with others of their operator."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        operator = "" if row.plain or row.outcome in ("constant", "removed", "unknown") else row.operator
        key = (operator, row.outcome, _NAME.sub("", row.change), row.why)
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def refusal_lines(verdict: Verdict) -> list[str]:
    """Every reason once, with the nodes it is about; then what is wrong beyond single nodes."""
    groups: dict[str, list[Row]] = {}
    for row in verdict.refused:
        for reason in row.reasons:
            groups.setdefault(reason, []).append(row)
    lines = [f"{_subjects(rows)}: {reason}" for reason, rows in groups.items()]
    return [*lines, *verdict.problems]


def _subjects(rows: Sequence[Row]) -> str:
    kinds: dict[str, list[str]] = {}
    for row in rows:
        kinds.setdefault(row.operator, []).append(row.node)
    return "; ".join(f"{kind} {_names([repr(name) for name in names])}" for kind, names in kinds.items())


def _names(names: Sequence[str], shown: int = 3) -> str:
    """The first few, and how many more; one more would take no less room than its number."""
    if len(names) <= max(shown, 1) + (shown > 1):
        return ", ".join(names)
    return f"{', '.join(names[:shown])} and {len(names) - shown} more"
