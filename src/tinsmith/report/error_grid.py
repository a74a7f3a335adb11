"""The errors of layers as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from tinsmith.report.layer_error import LayerError
from tinsmith.report.terminal import plain_table
from tinsmith.units import percent

_BAR = 12


def error_grid(
    accumulated: Sequence[LayerError], alone: Sequence[LayerError] | None = None, most: int | None = None
) -> Table:
    """Layers with their errors, the worst first: by what they do alone where that is known.

    Args:
        accumulated: From `tinsmith.report.graphwise`.
        alone: From `tinsmith.report.layerwise`, of the same network.
        most: Show so many at most.
    """
    lonely = {error.layer: error for error in alone or ()}
    decisive = {error.layer: lonely.get(error.layer, error) for error in accumulated}
    ranked = sorted(accumulated, key=lambda error: decisive[error.layer].noise, reverse=True)
    columns = ["layer", "operator", "precision", "noise", "SNR dB", "cosine", "MSE"]
    table = plain_table(*columns, *(["alone"] if lonely else []), "", left=3)
    table.columns[-1].justify = "left"
    largest = max((error.noise for error in decisive.values()), default=0.0)
    for error in ranked[:most]:
        shown = decisive[error.layer]
        bar = "█" * round(_BAR * shown.noise / largest) if 0 < largest < float("inf") else ""
        figures = [percent(error.noise, 3), f"{error.snr_db:.1f}", f"{error.cosine:.6f}", f"{error.mse:.3g}"]
        extra = [percent(shown.noise, 4)] if lonely else []
        table.add_row(error.layer, error.operator, error.precision, *figures, *extra, bar)
    return table
