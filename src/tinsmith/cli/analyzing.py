"""``tinsmith analyze``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinsmith.cli.options import (
    choosing_options,
    common_options,
    data_path,
    existing_model,
    looking_options,
)


@click.command("analyze")
@click.argument("model", type=existing_model)
@click.option(
    "--data",
    type=data_path,
    required=True,
    metavar="PATH",
    help="Calibration data: .npy, .npz[:KEY] or a folder of images.",
)
@looking_options
@click.option("--layerwise", is_flag=True, help="Also what each layer alone does to the outputs; sorts by that.")
@click.option("--worst", type=click.IntRange(min=1), metavar="N", help="Show the N worst layers only.")
@choosing_options
@common_options
def analyze_command(
    model: Path,
    data: str,
    on: str | None,
    analyzed: int,
    layerwise: bool,
    worst: int | None,
    **choices: Any,
) -> None:
    """Say which layers make the error of a quantized model.

    Quantizes the model, writes nothing, and runs it exactly as the chip would beside the float network. The worst layer
    comes first. "noise" is noise over signal power at a layer's output, with all layers before it; "alone" is that at
    the network's outputs if no other layer were quantized.
    """
    from tinsmith.cli.progress import stages
    from tinsmith.pipeline import quantize
    from tinsmith.report.error_grid import error_grid
    from tinsmith.report.graphwise import graphwise
    from tinsmith.report.layerwise import layerwise as alone
    from tinsmith.report.terminal import console

    with stages() as tell:
        quantized = quantize(model, data, progress=tell, **choices)
        source = data if on is None else on
        found = graphwise(
            quantized, source, analyzed, progress=lambda done, total: tell("compare with float", done, total)
        )
        each = None
        if layerwise:
            each = alone(quantized, source, progress=lambda done, total: tell("layer by layer", done, total))
    console().print(error_grid(found, each, worst))
