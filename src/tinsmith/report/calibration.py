"""What calibration data are good for, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf, log10

from rich.table import Table

from tinsmith.calibrate.guidance import LEAST_FOR_HALVES, LEAST_FOR_OUTLIERS, MANY, Guidance, Methods
from tinsmith.report.terminal import plain_table
from tinsmith.units import percent

_SHOWN = 10
_NOTHING = 0.05
"""Decibels that round to nothing."""


def guidance_lines(found: Guidance) -> list[str]:
    """The findings in a line each."""
    watched = "" if found.watched == found.samples else f", the first {found.watched} looked at one by one"
    facts = [("samples", f"{found.samples}{watched}"), ("stability", _stability(found))]
    if found.watched < LEAST_FOR_OUTLIERS:
        facts.append(("outliers", f"cannot be told from fewer than {LEAST_FOR_OUTLIERS} samples"))
    else:
        facts.append(("outliers", f"{len(found.outliers)}" if found.outliers else "none"))
    facts.append(("repeated", _listed([f"{sample} as {earlier}" for sample, earlier in found.repeated])))
    facts.append(("constant", _listed(list(found.constant))))
    return [f"{name:<9}  {fact}" for name, fact in facts]


def _stability(found: Guidance) -> str:
    if found.stable is None:
        return f"cannot be told from fewer than {LEAST_FOR_HALVES} samples: add samples"
    counted = f"{len(found.unstable)} of {found.values} values would take another exponent from half of the samples"
    return f"stable: {counted}" if found.stable else f"add samples: {counted} (up to {percent(MANY, 0)} are usual)"


def _listed(items: list[str]) -> str:
    shown = ", ".join(items[:_SHOWN]) or "none"
    return f"{shown} and {len(items) - _SHOWN} more" if len(items) > _SHOWN else shown


def guidance_tables(found: Guidance) -> list[Table]:
    """The outliers, and the values whose exponent is not sure."""
    tables = []
    if found.outliers:
        table = plain_table("outlier", "reaches furthest at", "times the others", "values", left=2)
        for outlier in found.outliers[:_SHOWN]:
            value, factor = next(iter(outlier.factors.items()))
            table.add_row(outlier.sample, value, f"{factor:.1f}", str(len(outlier.factors)))
        tables.append(table)
    if found.unstable:
        table = plain_table("value", "exponent", "one half", "the other", "error in dB")
        for unstable in found.unstable[:_SHOWN]:
            halves = ("" if half is None else str(half) for half in unstable.halves)
            cost = "far too fine" if isinf(unstable.cost) else f"+{10 * log10(unstable.cost):.1f}"
            table.add_row(unstable.value, str(unstable.exponent), *halves, cost)
        tables.append(table)
    return [*tables, _methods_table(found.methods)] if found.methods else tables


def _methods_table(rows: Sequence[Methods]) -> Table:
    """Exponents by method, with the dB that are lost against `mse` where there are any."""
    names = list(rows[0].exponents)
    table = plain_table("value", "layer", "smallest", "largest", *names, left=2)
    for row in rows:
        cells = []
        for name in names:
            lost = row.decibels[name]
            more = "" if lost < _NOTHING else " (far off)" if isinf(lost) else f" (+{lost:.1f} dB)"
            cells.append(f"{row.exponents[name]}{more}")
        table.add_row(row.value, row.layer, f"{row.minimum:.4g}", f"{row.maximum:.4g}", *cells)
    return table
