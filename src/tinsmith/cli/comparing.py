"""``tinsmith compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinsmith.cli.group import DIFFERENT
from tinsmith.cli.options import common_options, data_options, data_path, existing_model, target_option, written_file


def _inputs(context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    return text if text is None or text == "test" else data_path(text)


@click.command("compare")
@click.argument("first", type=existing_model)
@click.argument("second", type=existing_model)
@click.option(
    "--input",
    "inputs",
    callback=_inputs,
    metavar="PATH|test",
    help="What both are run on: .npy, .npz[:KEY] or a folder of images; test: the sample embedded in a file.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    metavar="STEPS",
    help="Largest difference that counts as equal, in steps of the coarser format.  [default: 0 for integers; floats "
    "beside integers are reported only]",
)
@target_option
@click.option("--only", multiple=True, metavar="REGEX", help="Tensors or nodes whose name it matches. Repeatable.")
@click.option("--all", "every", is_flag=True, help="Show every tensor, not only those that differ.")
@click.option("--json", "json_file", type=written_file, metavar="FILE", help="Write everything as JSON.")
@data_options
@common_options
def compare_command(
    first: Path,
    second: Path,
    inputs: str | None,
    tolerance: float | None,
    target: str | None,
    only: tuple[str, ...],
    every: bool,
    json_file: Path | None,
    **options: Any,
) -> None:
    """Say where two runs of a network begin to differ.

    Each of the two is an .espdl file, a float model, or dumped tensors: a folder of .npy files, an .npz file, or what a
    board printed (the manual has the code). They are compared tensor by tensor, in order of execution, on --input, else
    on the inputs in the dump, else on the sample in the file, else on random numbers, for example

    tinsmith compare model.espdl board.log

    The exit code is 1 where they differ by more than the tolerance.
    """
    from tinsmith.cli.progress import stages
    from tinsmith.files import write_all
    from tinsmith.report.compare import compare
    from tinsmith.report.compare.table import comparison_table, head_lines, shown_rows, verdict_lines
    from tinsmith.report.terminal import console

    with stages() as tell:
        tell("compare", 0, None)
        found = compare(
            first,
            second,
            inputs,
            tolerance=tolerance,
            target=target,
            only=only,
            progress=lambda done, total: tell("compare", done, total),
            **options,
        )
    if json_file is not None:
        write_all({json_file: found.to_json().encode()})
    for line in head_lines(found):
        click.echo(line)
    rows = list(found.rows) if every else shown_rows(found)
    if rows:
        console().print(comparison_table(rows))
    for line in verdict_lines(found, len(rows)):
        click.echo(line)
    if found.diverged:
        click.get_current_context().exit(DIFFERENT)
