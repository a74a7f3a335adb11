"""How the signal-to-noise ratio falls along the network."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from markupsafe import Markup

from tinsmith.report.html.chart import HEIGHT, WIDTH, Chart, Tick, grid, multiples, number, path, round_step, step_ticks
from tinsmith.report.insight.schema import Layer
from tinsmith.units import decibels


def descent_chart(layers: Sequence[Layer]) -> Chart | None:
    """Signal to noise at the output of each layer, with all layers before it; None without data.

    Layers whose values are exact, or that only move data, have no point.
    """
    points = [(index, layer.accumulated.snr_db) for index, layer in enumerate(layers) if layer.accumulated is not None]
    seen = [(index, snr) for index, snr in points if snr is not None and isfinite(snr)]
    if len(seen) < 2:
        return None
    lowest, highest = min(0.0, *(snr for _, snr in seen)), max(10.0, *(snr for _, snr in seen)) + 2
    span = highest - lowest
    width = WIDTH / len(layers)

    def place(index: int, snr: float) -> tuple[str, str]:
        return number((index + 0.5) * width), number(HEIGHT * (highest - snr) / span)

    y = tuple(Tick(100 * (v - lowest) / span, f"{v:.0f} dB") for v in multiples(round_step(span, 5), lowest, highest))
    corners = [place(index, snr) for index, snr in seen]
    dots = [
        Markup('<path class="{}" d="M{} {}h0"><title>{}</title></path>').format(
            "dot marked" if layers[index].causes else "dot",
            *place(index, snr),
            f"{layers[index].name}: {decibels(snr)}",
        )
        for index, snr in seen
    ]
    curve = path("M" + "L".join(f"{across} {down}" for across, down in corners), "curve")
    label = (
        f"Signal to noise at the outputs of {len(seen)} layers, from {decibels(seen[0][1])} to {decibels(seen[-1][1])}"
    )
    return Chart(grid(y) + curve + Markup("").join(dots), label, step_ticks(len(layers)), y)
