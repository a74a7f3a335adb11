"""``tinsmith report`` and ``profile``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinsmith.cli.options import (
    board_options,
    choosing_options,
    common_options,
    data_path,
    esp_dl_option,
    existing_file,
    existing_model,
    looking_options,
    target_option,
    written_file,
    written_folder,
)

if TYPE_CHECKING:
    from tinsmith.report.insight.files import SavedReport
    from tinsmith.report.insight.schema import Insight


@click.command("report")
@click.argument("model", type=existing_model)
@click.option(
    "--data",
    type=data_path,
    metavar="PATH",
    help="Calibration data: .npy, .npz[:KEY] or a folder of images. Not for an .espdl file.",
)
@looking_options
@board_options
@choosing_options
@click.option("--name", default="report", show_default=True, help="Name of the files, without suffix.")
@click.option("-o", "--output", "folder", type=written_folder, required=True, metavar="DIR", help="Where the files go.")
@common_options
def report_command(
    model: Path,
    data: str | None,
    on: str | None,
    analyzed: int,
    board: str | None,
    internal: int,
    name: str,
    folder: Path,
    **choices: Any,
) -> None:
    """Write report.html: memory, speed, accuracy, what to do next.

    And report.json, the same for scripts, and report.toml, the recipe. Quantizes a float model as `tinsmith quantize`
    does, without writing it; with --recipe FILE.espdl, exactly as that file was made. Of an .espdl file alone, from any
    tool, the report has costs and no errors.
    """
    from tinsmith.cli.progress import stages
    from tinsmith.files import write_all
    from tinsmith.report.insight.files import save_report
    from tinsmith.report.insight.lines import verdict_lines

    with stages() as tell:
        if model.suffix == ".espdl":
            found = _of_file(model, board=board, internal=internal, refused={"--data": data, "--on": on}, **choices)
        else:
            from tinsmith.pipeline import quantize
            from tinsmith.report.commands import Places
            from tinsmith.report.insight.gather import insight

            choices["target"] = target_with(board, choices)
            quantized = quantize(model, data, progress=tell, **choices)
            found = insight(
                quantized,
                data if on is None else on,
                board=board,
                internal=internal,
                samples=analyzed,
                name=model.name,
                places=Places(str(model), data or "DATA", str(folder / f"{name}.toml"), next_to(folder)),
                progress=tell,
            )
        tell("write", 0, None)
        saved = save_report(found, folder, name)
        if found.recipe:
            write_all({folder / f"{name}.toml": found.recipe.encode()})
    for line in (*verdict_lines(found), *written_lines(saved)):
        click.echo(line)
    if found.recipe:
        click.echo(f"{'recipe':<11}{folder / f'{name}.toml'}")


def target_with(board: str | None, choices: Mapping[str, Any]) -> str | None:
    """The chip to quantize for: the one that is named, else the board's.

    Raises:
        RecipeError: The board is unknown, or has another chip than the one that is named.
    """
    from tinsmith.estimate.boards import board_with, find_board, is_module
    from tinsmith.recipe import Recipe

    target, recipe = choices["target"], choices["recipe"]
    if board is None or is_module(board):
        return None if target is None else str(target)
    if target is None and recipe is not None:
        target = Recipe.read(recipe).target
    return find_board(board).chip if target is None else board_with(board, str(target)).chip


def next_to(folder: Path) -> str:
    """Where the commands of a report write: beside the files it is about, so that none of them is replaced."""
    return f"{folder}-next"


def written_lines(saved: SavedReport) -> list[str]:
    """Where a report is."""
    return [f"{'report':<11}{path}  {path.stat().st_size:,} bytes" for path in (saved.html, saved.json)]


def _of_file(path: Path, *, board: str | None, internal: int, refused: dict[str, Any], **choices: Any) -> Insight:
    """The insight into an `.espdl` file, of which only the chip can still be chosen."""
    from tinsmith.espdl import read
    from tinsmith.report.insight.gather import insight
    from tinsmith.simulator.run import target_of

    given = {**refused, **{f"--{key.replace('_', '-')}": value for key, value in choices.items()}}
    idle = [name for name, value in given.items() if value is not None and name not in ("--target", "--esp-dl")]
    if idle:
        raise click.UsageError(f"{', '.join(idle)}: of no use with an .espdl file, which is quantized already.")
    program = read(path)
    return insight(
        program,
        target=target_of(program, choices["target"], choices["esp_dl"]),
        board=board,
        internal=internal,
        name=path.name,
        file_bytes=path.stat().st_size,
    )


@click.command("profile")
@click.argument("file", type=existing_file)
@target_option
@esp_dl_option
@board_options
@click.option("--layers", type=click.IntRange(min=1), metavar="N", help="Show the N slowest layers only.")
@click.option("--json", "json_file", type=written_file, metavar="FILE", help="Write everything as JSON, too.")
@common_options
def profile_command(
    file: Path,
    target: str | None,
    esp_dl: str | None,
    board: str | None,
    internal: int,
    layers: int | None,
    json_file: Path | None,
) -> None:
    """Say what an .espdl file costs: flash, RAM, time.

    Of all of it and layer by layer; the file may come from any tool. With --board the exit code is 1 where it does not
    fit.
    """
    from tinsmith.files import write_all
    from tinsmith.report.insight.json_text import to_json
    from tinsmith.report.insight.lines import verdict_lines
    from tinsmith.report.insight.profile_table import profile_table
    from tinsmith.report.terminal import console

    found = _of_file(file, board=board, internal=internal, refused={}, target=target, esp_dl=esp_dl)
    console().print(profile_table(found, layers))
    for line in verdict_lines(found):
        click.echo(line)
    if json_file is not None:
        write_all({json_file: to_json(found).encode()})
        click.echo(f"{'json':<11}{json_file}  {json_file.stat().st_size:,} bytes")
    if board is not None and not all(fit.fits for fit in found.boards):
        from tinsmith.cli.group import REFUSED

        click.get_current_context().exit(REFUSED)
