"""Tables for the terminal."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from math import isinf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tinsmith.estimate.boards import BOARDS
from tinsmith.ops import operators
from tinsmith.placement import Placement
from tinsmith.program import Program
from tinsmith.report.dispatch import LayerChoice, exponents_text
from tinsmith.report.tally import Evaluation
from tinsmith.targets import TARGETS, Saturation, Target
from tinsmith.units import percent, size

Array = NDArray[Any]

WIDTH = 120
"""Columns where the output is no terminal."""


def console(*, stderr: bool = False) -> Console:
    """A console that shows text as it is: no markup, no emoji, no colored numbers."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else WIDTH
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def quantized_lines(
    placement: Placement, program: Program, target: Target, files: Sequence[Path], seconds: float, recipe: str
) -> list[str]:
    """What `tinsmith quantize` did.

    Args:
        placement: Precision of each node of the float network.
        program: What the chip gets.
        target: The chip.
        files: What was written.
        seconds: How long it took.
        recipe: The choices, in words.
    """
    widths = Counter(decision.precision for decision in placement.values())
    counts = ", ".join(f"{widths[width]} {width}" for width in ("int8", "int16", "float32") if widths[width])
    constants = sum(tensor.data.nbytes for tensor in program.constants.values())
    facts = [
        ("target", f"{target.name}, ESP-DL {target.esp_dl}"),
        ("nodes", f"{counts} → {len(program.nodes)} on the chip"),
        ("constants", f"{constants:,} bytes"),
        ("recipe", recipe),
        ("time", f"{seconds:.1f} s"),
        *(("wrote", f"{path}  {path.stat().st_size:,} bytes") for path in files),
    ]
    return [f"{name:<9}  {fact}" for name, fact in facts]


def dispatch_grid(layers: Sequence[LayerChoice]) -> Table:
    """What each layer became."""
    table = plain_table("layer", "operator", "precision", "weights", "output", "MACs", "why", left=3)
    table.columns[-1].justify = "left"
    everything = max(sum(layer.macs for layer in layers), 1)
    for layer in layers:
        why = f"within {layer.fused!r}" if layer.fused else layer.reason
        output = "" if layer.output is None else str(layer.output)
        weights = exponents_text(layer.weights)
        work = percent(layer.macs / everything) if layer.macs else ""
        table.add_row(layer.layer, layer.operator, layer.precision, weights, output, work, why)
    return table


def evaluation_tables(found: Evaluation) -> list[Table]:
    """Accuracy beside the float model, and the closeness of each output to it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(justify="right")
    grid.add_column(justify="right", style="dim")
    grid.add_row("samples", f"{found.samples:,}", "")
    for name, ours, theirs in (
        ("top-1", found.top1, found.float_top1),
        ("top-5", found.top5, found.float_top5),
        ("agreement with float", found.agreement, None),
    ):
        if ours is not None:
            grid.add_row(name, percent(ours, 2), "" if theirs is None else f"float {percent(theirs, 2)}")
    if found.net_flips is not None:
        grid.add_row("net flips", f"{found.net_flips:+d}", "")
    if found.saturated:
        sums = sum(found.saturated.values())
        grid.add_row("saturated sums", f"{sums:,}", f"in {', '.join(found.saturated)}")
    elif found.assumed_no_saturation:
        grid.add_row("saturated sums", "not checked", "")
    return [grid, *([_outputs_table(found)] if found.outputs else [])]


def _outputs_table(found: Evaluation) -> Table:
    table = plain_table("output", "SNR dB", "cosine", "MSE", "largest error")
    for name, fidelity in found.outputs.items():
        snr = "equal" if isinf(fidelity.snr_db) and fidelity.snr_db > 0 else f"{fidelity.snr_db:.1f}"
        table.add_row(name, snr, f"{fidelity.cosine:.6f}", f"{fidelity.mse:.3g}", f"{fidelity.max_abs:.3g}")
    return table


def tensors_table(program: Program, arrays: Mapping[str, Array]) -> Table:
    """Simulated tensors: type, shape, exponent, range of the real numbers, and place of the largest element."""
    table = plain_table("output", "type", "shape", "exponent", "smallest", "largest", "largest at", left=2)
    for name, array in arrays.items():
        value = program.values[name]
        scale = 2.0**value.exponent if value.dtype.quantized else 1.0
        exponent = str(value.exponent) if value.dtype.quantized else ""
        ends = [f"{float(end) * scale:.6g}" for end in (array.min(), array.max())] if array.size else ["", ""]
        place = ", ".join(map(str, np.unravel_index(int(array.argmax()), array.shape))) if array.size else ""
        table.add_row(name, array.dtype.name, "×".join(map(str, array.shape)) or "scalar", exponent, *ends, place)
    return table


def targets_table() -> Table:
    """The chips."""
    table = plain_table("target", "family", "rounding", "weights", "int8 sums", "int16 sums", "ESP-DL", left=7)
    for target in TARGETS.values():
        weights = "per channel" if target.per_channel else "per tensor"
        sums = [_lane(target, bits) for bits in (8, 16)]
        table.add_row(target.name, target.family, target.rounding.value, weights, *sums, f"≥ {target.since}")
    return table


def _lane(target: Target, bits: int) -> str:
    lane = target.linear[bits].vector
    return f"{lane.bits} bit" if lane.saturation is Saturation.NEVER else f"{lane.bits} bit, saturating"


def boards_table() -> Table:
    """The boards."""
    table = plain_table("board", "chip", "PSRAM by", "flash", "PSRAM", "internal RAM for a model", left=3)
    for board in BOARDS.values():
        psram = size(board.psram) if board.psram else ""
        table.add_row(board.name, board.chip, board.kind, size(board.flash), psram, size(board.internal))
    return table


def operators_table(target: Target) -> Table:
    """The operators float networks may contain, with the limits a user reads about when one is broken."""
    table = plain_table("operator", "int8", "int16", "float32", "limits", left=5)
    table.title = f"{target.name}, ESP-DL {target.esp_dl}"
    for name, operator in operators().items():
        if operator.importable:
            has = operator.available(target)
            widths = ["yes" if width in has else "" for width in ("int8", "int16", "float32")]
            table.add_row(name, *widths, "\n".join(constraint.message for constraint in operator.constraints))
    return table


def plain_table(*columns: str, left: int = 1) -> Table:
    """A plain table; columns after the first ``left`` hold numbers."""
    table = Table(box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index < left else "right", overflow="fold")
    return table
