"""``tinsmith calibration``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinsmith.cli.options import (
    common_options,
    data_options,
    data_path,
    esp_dl_option,
    existing_file,
    existing_model,
    opening_options,
)


@click.command("calibration")
@click.argument("model", type=existing_model)
@click.option(
    "--data", type=data_path, required=True, metavar="PATH", help="Samples: .npy, .npz[:KEY] or a folder of images."
)
@click.option("--target", metavar="CHIP", help="The chip, see `tinsmith targets`.  [default: esp32s3]")
@esp_dl_option
@click.option("--recipe", type=existing_file, help="Choices from a TOML or .espdl file; options override it.")
@click.option("--methods", is_flag=True, help="Compare what the methods of --calibration choose for each value.")
@opening_options
@data_options
@common_options
def calibration_command(model: Path, data: str, **choices: Any) -> None:
    """Say what calibration data are good for.

    Which samples alone extend the range of values, whether there are enough of them (would exponents be the same from
    half of them?), which are there twice or hold one number only. Quantizing says in notes what is wrong.
    """
    from tinsmith.cli.progress import stages
    from tinsmith.pipeline import examine
    from tinsmith.report.calibration import guidance_lines, guidance_tables
    from tinsmith.report.terminal import console

    with stages() as tell:
        found = examine(model, data, progress=tell, **choices)
    for line in guidance_lines(found):
        click.echo(line)
    screen = console()
    for table in guidance_tables(found):
        screen.print(table)
