"""What each step of a program costs, for the terminal."""

from __future__ import annotations

from rich.table import Table

from tinsmith.report.insight.schema import Insight
from tinsmith.report.terminal import plain_table
from tinsmith.units import milliseconds, share, size


def profile_table(insight: Insight, slowest: int | None = None) -> Table:
    """A row for each step, in the order of execution.

    Args:
        insight: What is shown.
        slowest: Only so many, the slowest first.
    """
    table = plain_table(
        "layer",
        "operator",
        "precision",
        "shape",
        "MACs",
        "parameters",
        "RAM in use",
        "1 core",
        "2 cores",
        "share",
        left=4,
    )
    steps = list(zip(insight.layers, insight.memory.live, strict=True))
    if slowest is not None:
        steps = sorted(steps, key=lambda step: -(step[0].single_ms or 0.0))[:slowest]
    whole = insight.speed.single_ms if insight.speed is not None else 0.0
    for layer, live in steps:
        timed = layer.single_ms is not None and layer.dual_ms is not None
        table.add_row(
            layer.name,
            layer.operator,
            layer.precision,
            "×".join(map(str, layer.shape)),
            f"{layer.macs:,}" if layer.macs else "",
            size(layer.parameter_bytes) if layer.parameter_bytes else "",
            size(live),
            milliseconds(layer.single_ms or 0.0) if timed else "",
            milliseconds(layer.dual_ms or 0.0) if timed else "",
            share((layer.single_ms or 0.0) / whole) if timed and whole else "",
        )
    return table
