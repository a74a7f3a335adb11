"""What quantization costs in accuracy on the chip, beside the float network and esp-ppq; see README.md.

Every outcome is kept below --results as soon as it is known: the command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from rich import table as drawing
from rich.console import Console
from rich.markup import escape
from rich.progress import track

import accuracy_plan as plan
import accuracy_tables as tables
import outcomes
from accuracy_page import page
from accuracy_runs import Bench
from networks import CASES, Case, drawn

ROOT = Path(__file__).resolve().parents[1]


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, help="folder of data, with the models in models/; without: no new runs")
    options.add_argument("--results", type=Path, default=ROOT / "output/accuracy", help="folder of kept outcomes")
    options.add_argument("--peer-python", help="an interpreter with esp-ppq")
    options.add_argument("--networks", type=_list, default=plan.NETWORKS, help=f"of {', '.join(plan.NETWORKS)}")
    options.add_argument("--targets", type=_list, default=plan.TARGETS)
    options.add_argument("--groups", type=_list, default=plan.GROUPS, help=f"of {', '.join(plan.GROUPS)}")
    options.add_argument("--rows", type=_list, help="only these rows of the groups, such as default,fast,tqt")
    options.add_argument("--samples", type=int, help="at most so many held samples; such runs are not on the page")
    options.add_argument("--again", action="store_true", help="measure anew what is kept")
    options.add_argument("--page", type=Path, help="write the manual's page there")
    return options.parse_args()


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


class Data:
    """Cases read when a run needs them, the last one kept; those that are absent."""

    def __init__(self, root: Path, most: int | None) -> None:
        self.absent: dict[str, str] = {}
        self._root = root
        self._most = most
        self._last: tuple[object, Case] | None = None

    def case(self, run: outcomes.Run) -> Case:
        """The case of a run.

        Raises:
            FileNotFoundError: The model or its data are absent.
        """
        key = (run.network, run.draw)
        if self._last is None or self._last[0] != key:
            self._last = None
            new = self._read(run)
            if not new.model.is_file():
                raise FileNotFoundError(2, "no such file", str(new.model))
            self._last = (key, new)
        return self._last[1]

    def _read(self, run: outcomes.Run) -> Case:
        if run.draw is None:
            return CASES[run.network](self._root, self._most)
        return drawn(run.network, self._root, run.draw)


def measure(chosen: argparse.Namespace, console: Console) -> list[outcomes.Outcome]:
    """The outcomes of all runs that were asked for."""
    runs = list(plan.planned(chosen.groups, chosen.networks, chosen.targets, chosen.samples))
    runs = [run for run in runs if chosen.rows is None or run.row in chosen.rows]
    runs = [run for run in runs if chosen.peer_python is not None or run.tool != outcomes.PEER]
    bench, data = Bench(chosen.results, chosen.peer_python, chosen.again), Data(chosen.data, chosen.samples)
    found = []
    for run in track(runs, "measuring", console=console):
        if run.network in data.absent:
            continue
        try:
            outcome = bench.measure(run, partial(data.case, run))
        except FileNotFoundError as error:
            data.absent[run.network] = f"{run.network}: skipped, {error.filename} is absent"
            continue
        found.append(outcome)
        told = outcome.failed or f"{outcome.accuracy:.2f} % of {outcome.float_accuracy:.2f} %, {outcome.snr_db:.2f} dB"
        console.print(escape(f"{run.network} {run.target} {run.tool} {run.row}: {told}"), soft_wrap=True)
    for line in data.absent.values():
        console.print(escape(line))
    return found


def show(table: tables.Table, console: Console) -> None:
    """A table on the terminal."""
    if not table.rows:
        return
    drawn_table = drawing.Table(*map(escape, table.columns), title=escape(table.title), title_justify="left")
    for row in table.rows:
        drawn_table.add_row(*map(escape, row))
    console.print(drawn_table)
    for note in table.notes:
        console.print(escape(note), soft_wrap=True)


def main() -> None:
    chosen = _options()
    errors = Console(file=sys.stderr, highlight=False)
    found = outcomes.all_kept(chosen.results) if chosen.data is None else measure(chosen, errors)
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=180)
    places = tables.by_place(found, chosen.samples)
    shown = [tables.summary(places), tables.times(places), *tables.details(places)]
    for table in (*shown, *tables.ablation(places), tables.draws(places)):
        show(table, console)
    if chosen.page is not None:
        chosen.page.write_text(page(outcomes.all_kept(chosen.results)), "utf-8")
        console.print(f"{chosen.page} is written from everything in {chosen.results}.")


if __name__ == "__main__":
    main()
