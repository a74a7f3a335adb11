"""Outcomes of the accuracy comparison as tables of text, for the terminal and for the manual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan

import accuracy_plan as plan
from outcomes import OURS, PEER, Outcome

Places = Mapping[tuple[str, str], Sequence[Outcome]]
"""Outcomes by network and chip, in the order of the plan."""


SHOWN = 8
"""Layers named before they are only counted."""


@dataclass(frozen=True)
class Table:
    """Cells of text.

    Attributes:
        title: What it shows.
        columns: Their headings; the first is left-aligned.
        rows: As many cells each.
        notes: Lines below it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def by_place(outcomes: Iterable[Outcome], most: int | None = None) -> dict[tuple[str, str], list[Outcome]]:
    """Outcomes by network and chip, all in the order of the plan, ours first.

    Args:
        outcomes: Any; what the plan does not know is left out.
        most: Those on the first so many held samples; by default those on all.
    """
    rows = [*plan.EFFORTS, *plan.INT16, *plan.ablation(), *plan.UNTRAINED, *plan.MIXED, *plan.TRAINED]
    order = [(OURS, row) for row in rows] + [(PEER, row) for row in rows]
    known = [one for one in outcomes if one.run.most == most and (one.run.tool, one.run.row) in order]
    known.sort(key=lambda one: (order.index((one.run.tool, one.run.row)), one.run.draw or 0))
    return {
        (network, target): found
        for network in plan.NETWORKS
        for target in plan.TARGETS
        if (found := [one for one in known if (one.run.network, one.run.target) == (network, target)])
    }


def summary(places: Places) -> Table:
    """One line per network and chip: ours beside the best of the peer's recipes without and with training."""
    rows, notes = [], []
    for (network, target), outcomes in places.items():
        ours = _named(outcomes, OURS, "default")
        rivals = [one for one in _rows(outcomes, PEER) if not one.failed]
        untrained = _best([one for one in rivals if one.run.row in plan.UNTRAINED])
        trained = _best([one for one in rivals if one.run.row in plan.TRAINED])
        if ours is None and untrained is None and trained is None:
            continue
        some = next(one for one in (ours, untrained, trained) if one is not None)
        rows.append(
            (
                f"{network}, {target}",
                f"{some.samples}",
                f"{some.float_accuracy:.2f}",
                "" if ours is None else _accuracy(ours),
                "" if ours is None or ours.failed else str(ours.to_float),
                "" if untrained is None else f"{_accuracy(untrained)} ({_recipe(untrained)})",
                _lead(ours, untrained),
                "" if trained is None else _accuracy(trained),
                _lead(ours, trained),
                *_verdict(ours),
            )
        )
    columns = (
        "network, chip",
        "samples",
        "float %",
        "default %",
        "− float",
        "esp-ppq, best untrained %",
        "ahead by",
        "esp-ppq, TQT %",
        "ahead by",
        "bound",
        "aim",
    )
    return Table("Default effort beside esp-ppq", columns, rows, notes)


def times(places: Places) -> Table:
    """Seconds of our efforts, and of the peer's default and those of its recipes that do more."""
    shown = [(OURS, row) for row in plan.EFFORTS] + [(PEER, row) for row in plan.TIMED]
    rows = []
    for (network, target), outcomes in places.items():
        found = [_named(outcomes, tool, row) for tool, row in shown]
        if any(one is not None for one in found):
            rows.append((f"{network}, {target}", *("" if one is None else _seconds(one) for one in found)))
    return Table("Seconds to quantize", ("network, chip", *(f"{tool} {row}" for tool, row in shown)), rows)


def details(places: Places) -> list[Table]:
    """One table per network and chip: everything but ablation and draws."""
    tables = []
    for (network, target), outcomes in places.items():
        shown = [one for one in outcomes if one.run.draw is None and not _ablated(one)]
        if not shown:
            continue
        columns = ("", "accuracy %", "− float", "agreement %", "net flips", "SNR dB", "seconds", "bound")
        title = f"{network}, {target}: {shown[0].samples} samples, float {shown[0].float_accuracy:.2f} %"
        tables.append(Table(title, columns, [_line(one) for one in shown], _notes(shown)))
    return tables


def ablation(places: Places) -> list[Table]:
    """What the algorithms add: each alone, and several in a row."""
    names = list(plan.ablation())
    alone, combined = names[: len(plan.ALONE)], names[len(plan.ALONE) :]
    return [
        table
        for title, rows in (
            ("One algorithm", ["fast", *alone, "default"]),
            ("Several algorithms", ["fast", *combined, "default", "best"]),
        )
        if (table := _beside(f"{title}: accuracy in % (SNR in dB)", rows, places)).rows
    ]


def _beside(title: str, names: Sequence[str], places: Places) -> Table:
    """Rows of ours as columns; places with none but the efforts are left out."""
    rows = []
    for (network, target), outcomes in places.items():
        found = {row: _named(outcomes, OURS, row) for row in names}
        if any(one is not None for row, one in found.items() if row not in plan.EFFORTS):
            cells = ["" if one is None else _with_snr(one) for one in found.values()]
            rows.append((f"{network}, {target}", *cells))
    return Table(title, ("network, chip", *names), rows)


def draws(places: Places) -> Table:
    """Default effort with other calibration samples: each draw, and the spread."""
    rows = []
    for (network, target), outcomes in places.items():
        found = {one.run.draw: one for one in outcomes if one.run.draw is not None and not one.failed}
        if not found:
            continue
        accuracies = [one.accuracy for one in found.values()]
        some = next(iter(found.values()))
        rows.append(
            (
                f"{network}, {target}",
                f"{some.samples}",
                f"{some.float_accuracy:.2f}",
                *(_with_snr(found[draw]) if draw in found else "" for draw in plan.DRAWS),
                f"{min(accuracies):.2f} … {max(accuracies):.2f}",
            )
        )
    columns = ("network, chip", "samples", "float %", *(f"draw {draw + 1}" for draw in plan.DRAWS), "from … to")
    return Table("Accuracy in % (SNR in dB) with five draws of 64 calibration samples", columns, rows)


def _recipe(one: Outcome) -> str:
    return one.run.row + (", own executor" if one.own_executor else "")


def _line(one: Outcome) -> tuple[str, ...]:
    name = f"{one.run.tool} {_recipe(one)}"
    if one.failed:
        return (name, f"fails: {one.failed}", "", "", "", "", _seconds(one), "")
    bound, _ = _verdict(one)
    figures = (f"{one.agreement:.2f}", f"{one.net_flips:+d}", f"{one.snr_db:.2f}")
    return (name, f"{one.accuracy:.2f}", str(one.to_float), *figures, _seconds(one), bound)


def _notes(shown: Sequence[Outcome]) -> list[str]:
    notes = []
    for one in shown:
        name = f"{one.run.tool} {one.run.row}"
        if one.notes.get("int16"):
            notes.append(f"{name}: in int16 {_layers(one.notes['int16'])}.")
        alike = one.notes.get("snr_to_own_executor_db", inf)
        if alike < inf:
            notes.append(f"{name}: its own executor computes something else; signal to difference {alike:.0f} dB.")
        if one.notes.get("refused"):
            notes.append(f"{name}: measured with its own executor, as its file cannot be run: {one.notes['refused']}")
    return notes


def _verdict(one: Outcome | None) -> tuple[str, str]:
    """Of the bound, and of the aim; empty where there is none."""
    if one is None or one.failed or one.run.tool != OURS or one.run.draw is not None:
        return "", ""
    found = plan.bounds(one.run.network, one.run.target, one.run.row)
    return ("", "") if found is None else (_kept(found[0], one), _kept(found[1], one))


def _kept(bound: plan.Bound, one: Outcome) -> str:
    missing = bound.missing(one)
    return f"{bound}: kept" if missing == 0 else f"{bound}: {missing:.2f} below"


def _lead(ours: Outcome | None, other: Outcome | None) -> str:
    if ours is None or other is None or ours.failed:
        return ""
    return str(ours.to_other(other))


def _best(outcomes: Sequence[Outcome]) -> Outcome | None:
    return max(outcomes, key=lambda one: (one.accuracy, one.snr_db), default=None)


def _rows(outcomes: Sequence[Outcome], tool: str) -> list[Outcome]:
    return [one for one in outcomes if one.run.tool == tool and one.run.draw is None]


def _named(outcomes: Sequence[Outcome], tool: str, row: str) -> Outcome | None:
    return next((one for one in _rows(outcomes, tool) if one.run.row == row), None)


def _ablated(one: Outcome) -> bool:
    return one.run.tool == OURS and one.run.row in plan.ablation()


def _accuracy(one: Outcome) -> str:
    return "fails" if one.failed else f"{one.accuracy:.2f}"


def _with_snr(one: Outcome) -> str:
    return "fails" if one.failed else f"{one.accuracy:.2f} ({one.snr_db:.1f})"


def _seconds(one: Outcome) -> str:
    return "" if isnan(one.seconds) else f"{one.seconds:.1f}" + "*" * one.starved


def _layers(names: Sequence[str]) -> str:
    """The first few, and how many there are in all."""
    shown = ", ".join(f"`{name}`" for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
