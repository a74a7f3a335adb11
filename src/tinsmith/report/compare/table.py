"""A comparison for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf

from rich.table import Table

from tinsmith.report.compare.result import Comparison, TensorRow
from tinsmith.report.terminal import plain_table
from tinsmith.units import percent

SHOWN = 20
"""Tensors, and constants, that are shown where not all are asked for."""
_NAMED = 8


def head_lines(found: Comparison) -> list[str]:
    """What was compared, and on what."""
    facts = [("first", found.labels[0]), ("second", found.labels[1]), ("inputs", found.inputs)]
    facts += [("samples", str(found.samples))] if found.samples > 1 else []
    return [f"{name:<8} {fact}" for name, fact in facts] + [f"note: {note}" for note in found.notes]


def shown_rows(found: Comparison) -> list[TensorRow]:
    """The tensors worth showing, in order of execution: the first that diverged, else those that lost most."""
    chosen = [row.name for row in found.rows if row.diverged][:SHOWN]
    if not chosen:
        losing = sorted(found.rows, key=lambda row: row.loss_db, reverse=True)
        chosen = [row.name for row in losing if row.loss_db > 0][:SHOWN]
    return [row for row in found.rows if row.name in chosen]


def comparison_table(rows: Sequence[TensorRow]) -> Table:
    """A line for each tensor."""
    table = plain_table(
        "tensor",
        "node",
        "first",
        "second",
        "differ",
        "share",
        "max |Δ|",
        "steps",
        "cosine",
        "SNR dB",
        "loss dB",
        left=4,
    )
    for row in rows:
        node = f"{row.operator} {row.node}" if row.node else ""
        amounts = [f"{row.mismatches:,}", percent(row.share, 2), f"{row.largest:.4g}", _steps(row)]
        closeness = [f"{row.cosine:.6f}", _decibels(row), f"{row.loss_db:.1f}" if row.loss_db else ""]
        table.add_row(row.name, node, row.first, row.second, *amounts, *closeness)
    return table


def verdict_lines(found: Comparison, shown: int) -> list[str]:
    """What follows from it.

    Args:
        found: The comparison.
        shown: How many tensors the table shows.
    """
    equal = sum(row.equal for row in found.rows)
    diverged = sum(bool(row.diverged) for row in found.rows)
    counts = [f"{len(found.rows)} tensors compared", f"{equal} equal"]
    counts += [f"{diverged} differ by more than the tolerance"] if found.judged else []
    lines = [f"{', '.join(counts)}; {shown} shown."] if shown < len(found.rows) else [f"{', '.join(counts)}."]
    lines += _only("first", found.only_first) + _only("second", found.only_second)
    lines += [f"{row.name}: {note}" for row in found.rows for note in row.notes if row.diverged]
    return lines + _constants(found) + _places(found)


def _places(found: Comparison) -> list[str]:
    first = found.first
    if first is not None:
        at = f" at {list(first.at)}" if first.at is not None else ""
        by = f"by at most {_steps(first)} steps, {first.largest:.4g}{at}"
        amount = f"{first.mismatches:,} of {first.elements:,} elements ({percent(first.share, 2)}) differ, {by}"
        lines = [f"First divergence: {first.layer}: {amount}."]
        if first.first != first.second:
            lines.append(
                f"It is {first.first} in the first, {first.second} in the second: --tolerance allows for that."
            )
            lines += _largest_loss(found)
        others = [row for row in found.origins if row is not first]
        if others:
            lines.append(f"Begins anew, from equal inputs, at: {_listed([row.layer for row in others])}.")
        return lines
    if found.worst is not None and not found.judged:
        return [
            "Formats differ, so that nothing can be equal: give --tolerance STEPS for a verdict.",
            *_largest_loss(found),
        ]
    open_ones = sum(row.diverged is None and not row.equal for row in found.rows)
    if found.judged and open_ones:
        text = f"No divergence, but {open_ones} of the tensors are real numbers on one side and integers on the other"
        return [f"{text}: give --tolerance STEPS for a verdict."]
    if found.constants and found.diverged:
        return ["No tensor differs on these inputs, but constants do: the files are not the same model."]
    return ["No divergence." if found.judged else "No tensor lost anything."]


def _largest_loss(found: Comparison) -> list[str]:
    worst = found.worst
    if worst is None:
        return []
    return [f"Largest loss: {worst.layer}: {worst.loss_db:.1f} dB below what it is computed from."]


def _constants(found: Comparison) -> list[str]:
    if not found.constants:
        return []
    lines = [f"{len(found.constants)} of {found.compared_constants} constants differ."]
    alike = [row for row in found.constants if not row.forms]
    return lines + [f"  {row.text}" for row in (alike or found.constants)[:_NAMED]]


def _only(which: str, names: Sequence[str]) -> list[str]:
    return [f"{len(names)} only in the {which}: {_listed(list(names))}."] if names else []


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest


def _steps(row: TensorRow) -> str:
    return str(row.steps) if isinstance(row.steps, int) else f"{row.steps:.4g}"


def _decibels(row: TensorRow) -> str:
    return "equal" if isinf(row.snr_db) and row.snr_db > 0 else f"{row.snr_db:.1f}"
