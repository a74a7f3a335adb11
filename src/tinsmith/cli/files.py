"""``tinsmith inspect``, ``diff`` and ``twin``."""

from __future__ import annotations

from pathlib import Path

import click

from tinsmith.cli.group import DIFFERENT
from tinsmith.cli.options import common_options, esp_dl_option, existing_file, target_option, written_file


@click.command("inspect")
@click.argument("file", type=existing_file)
@click.option("--recipe", is_flag=True, help="Print only the recipe the file was made with, as TOML.")
@common_options
def inspect_command(file: Path, recipe: bool) -> None:
    """Show what a file holds: metadata, inputs, outputs, nodes.

    Among the metadata are the recipe the file was made with and the choices made: which candidate won, with the signal
    to noise of each, and which layers run in int16 and why.
    """
    from tinsmith.espdl import inspect, read

    if recipe:
        from tinsmith.recipe import Recipe

        click.echo(Recipe.read(file).toml(), nl=False)
    else:
        click.echo(inspect(read(file)), nl=False)


@click.command("diff")
@click.argument("first", type=existing_file)
@click.argument("second", type=existing_file)
@common_options
def diff_command(first: Path, second: Path) -> None:
    """List the differences between two files.

    The exit code is 1 where there are any.
    """
    from tinsmith.espdl import diff, read

    differences = diff(read(first), read(second))
    for line in differences:
        click.echo(line)
    if differences:
        click.get_current_context().exit(DIFFERENT)
    click.echo("The files hold the same program.")


@click.command("twin")
@click.argument("file", type=existing_file)
@target_option
@esp_dl_option
@click.option("-o", "--output", type=written_file, required=True, metavar="ONNX", help="The ONNX file to write.")
@common_options
def twin_command(file: Path, target: str | None, esp_dl: str | None, output: Path) -> None:
    """Write an ONNX model that computes what the chip computes.

    It takes and gives the original model's float tensors, so it can stand in for that model in any evaluation script.
    """
    from tinsmith.espdl import read
    from tinsmith.simulator.run import target_of
    from tinsmith.simulator.twin import save_twin

    program = read(file)
    path = save_twin(program, output, target_of(program, target, esp_dl))
    click.echo(f"{path}  {path.stat().st_size:,} bytes")
