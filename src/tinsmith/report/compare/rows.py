"""From running figures to rows: which node computes a tensor, where a divergence begins, what a layer loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np

from tinsmith.report.compare.result import TensorRow
from tinsmith.report.compare.sides import ProgramSide, Side, Step
from tinsmith.report.compare.tally import Tally


def rows_of(tallies: Mapping[str, Tally], names: Mapping[str, str], ours: Side, theirs: Side) -> tuple[TensorRow, ...]:
    """A row for each tensor, in their order.

    Args:
        tallies: By the first's name.
        names: The second's names, in the order in which tensors are computed.
        ours: The first side.
        theirs: The second side.
    """
    steps, back = _steps(ours, theirs, names)
    made = {back.get(output, output): step for step in steps for output in step[3]}
    ancestors = _ancestors(steps, back, set(tallies))
    kept = _kept(tallies, steps, back)
    rows: dict[str, TensorRow] = {}
    for name, other in ((name, other) for name, other in names.items() if name in tallies):
        before = [known for known in ancestors.get(name, ()) if known in rows]
        base = min((kept[known] for known in before), default=inf)
        lost = max(base - kept[name], 0.0) if kept[name] < base < inf else 0.0
        begins = all(rows[known].diverged is False for known in before)
        rows[name] = _row(name, other, tallies[name], made.get(name), lost, begins=begins)
    return tuple(rows.values())


def _kept(tallies: Mapping[str, Tally], steps: Sequence[Step], back: Mapping[str, str]) -> dict[str, float]:
    """Signal to noise of each tensor, or of what a single node makes of it element by element, if that is higher.

    What a Clip cuts off behind a layer may differ: it is left out of the format for that reason.
    """
    known = {name: _snr(tally) for name, tally in tallies.items()}
    readers: dict[str, list[Step]] = {}
    for step in steps:
        for name in step[2]:
            readers.setdefault(back.get(name, name), []).append(step)
    kept = dict(known)
    for name, reading in readers.items():
        results = [back.get(output, output) for step in reading for output in step[3] if len(step[2]) == 1]
        same = [
            found for found in results if found in tallies and _elements(tallies, found) == _elements(tallies, name)
        ]
        if name in known and len(same) == len(reading):
            kept[name] = max(known[name], min(known[found] for found in same))
    return kept


def _elements(tallies: Mapping[str, Tally], name: str) -> int:
    return tallies[name].elements if name in tallies else 0


def _snr(tally: Tally) -> float:
    return -inf if tally.undefined else tally.sums.result().snr_db


def _steps(ours: Side, theirs: Side, names: Mapping[str, str]) -> tuple[Sequence[Step], Mapping[str, str]]:
    """The nodes that tell most, those of a program where there is one, and the first's names of their tensors."""
    back = {other: mine for mine, other in names.items()}
    if ours.steps and (isinstance(ours, ProgramSide) or not isinstance(theirs, ProgramSide)):
        return ours.steps, {}
    return theirs.steps, back


def _ancestors(steps: Sequence[Step], back: Mapping[str, str], compared: set[str]) -> dict[str, tuple[str, ...]]:
    """By tensor the nearest compared ones that it is computed from."""
    nearest: dict[str, tuple[str, ...]] = {}
    for _, _, read, outputs in steps:
        sources: dict[str, None] = {}
        for name in (back.get(name, name) for name in read):
            sources.update(dict.fromkeys((name,) if name in compared else nearest.get(name, ())))
        nearest.update({back.get(name, name): tuple(sources) for name in outputs})
    return nearest


def _row(name: str, other: str, tally: Tally, step: Step | None, lost: float, *, begins: bool) -> TensorRow:
    notes = [tally.fitted.alignment.note] if tally.fitted.alignment.note else []
    factors = tally.fitted.factors
    if factors is not None:
        whole = np.unique(factors).size == 1
        notes.append(f"scaled by {factors.flat[0]:.4g} as a whole" if whole else "channels scaled by equalization")
    if tally.undefined:
        notes.append(f"{tally.undefined} elements are NaN or infinite in one only")
    return TensorRow(
        name,
        other,
        step[0] if step else "",
        step[1] if step else "",
        tally.first.form,
        tally.second.form,
        tally.first.data.shape,
        tally.elements,
        tally.mismatches,
        tally.largest,
        tally.steps,
        tally.at,
        tally.sums.result().cosine,
        _snr(tally),
        lost,
        tally.diverged,
        bool(tally.diverged) and begins,
        tuple(notes),
    )
