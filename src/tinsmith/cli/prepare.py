"""``tinsmith quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinsmith.cli.group import say, show_traceback
from tinsmith.cli.options import (
    board_options,
    choosing_options,
    common_options,
    data_path,
    existing_model,
    written_folder,
)
from tinsmith.errors import TinsmithError

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized, Saved
    from tinsmith.recipe import Recipe


@click.command("quantize")
@click.argument("model", type=existing_model)
@click.option(
    "--data",
    type=data_path,
    metavar="PATH",
    help="Calibration data: .npy, .npz[:KEY], folder of images. A model quantized already (QDQ) may do without.",
)
@choosing_options
@click.option("--export-test-values", is_flag=True, help="Put a calibration sample and its exact outputs in the file.")
@click.option("--name", default="model", show_default=True, help="Name of the files, without suffix.")
@click.option("-o", "--output", "folder", type=written_folder, required=True, metavar="DIR", help="Where the files go.")
@click.option("--report/--no-report", default=True, help="Write report.html and report.json, too.  [default: write]")
@board_options
@click.option("--table", is_flag=True, help="Print what each layer became: precision and why, exponents.")
@click.option("--print-recipe", is_flag=True, help="Print every choice as TOML, ready for --recipe.")
@common_options
def quantize_command(
    model: Path,
    data: str | None,
    folder: Path,
    name: str,
    export_test_values: bool,
    report: bool,
    board: str | None,
    internal: int,
    table: bool,
    print_recipe: bool,
    **choices: Any,
) -> None:
    """Quantize a float model for a chip.

    The model: .onnx, .pt2, .keras, .h5, .tflite, the folder of a TensorFlow SavedModel, and more, see the manual.
    Writes the .espdl file that ESP-DL loads, .info and .json for people, and a report: will it fit, how fast and how
    accurate will it be, what to do next. For example

    tinsmith quantize model.onnx --data calibration.npy --target esp32s3 -o build
    """
    import time

    from tinsmith.cli.progress import stages
    from tinsmith.cli.reporting import target_with
    from tinsmith.pipeline import quantize
    from tinsmith.report.terminal import console, dispatch_grid, quantized_lines

    choices["target"] = target_with(board, choices)
    started = time.perf_counter()
    with stages() as tell:
        quantized = quantize(model, data, progress=tell, **choices)
        tell("write", 0, None)
        saved = quantized.save(folder, name, test_values=export_test_values)
        seconds = time.perf_counter() - started
    described = _described(quantized.recipe, choices["recipe"])
    placement, program = quantized.placement, quantized.program
    for line in quantized_lines(placement, program, quantized.target, list(saved), seconds, described):
        click.echo(line, err=print_recipe)
    said = _reported(quantized, saved, model, data, board, internal) if report else []
    for line in (*said, *(f"note: {note}" for note in quantized.notes)):
        click.echo(line, err=print_recipe)
    if table:
        console(stderr=print_recipe).print(dispatch_grid(quantized.table()))
    if print_recipe:
        click.echo(quantized.recipe.toml(), nl=False)


def _reported(
    quantized: Quantized, saved: Saved, model: Path, data: str | None, board: str | None, internal: int
) -> list[str]:
    """Writes the report beside the files; its verdicts, and where it is.

    The model is complete by then: whatever goes wrong here is a warning. An earlier report goes first, so that none of
    another model stays beside this one.
    """
    from tinsmith.cli.progress import stages
    from tinsmith.cli.reporting import next_to, written_lines
    from tinsmith.report.commands import Places
    from tinsmith.report.insight.files import remove_report, report_name, save_report
    from tinsmith.report.insight.gather import insight
    from tinsmith.report.insight.lines import verdict_lines

    folder, name = saved.espdl.parent, report_name(saved.espdl.stem)
    try:
        remove_report(folder, name)
        with stages() as tell:
            found = insight(
                quantized,
                data,
                board=board,
                internal=internal,
                name=model.name,
                file_bytes=saved.espdl.stat().st_size,
                places=Places(str(model), data or "DATA", str(saved.espdl), next_to(folder)),
                progress=tell,
            )
            tell("write", 0, None)
            written = save_report(found, folder, name)
        return [*verdict_lines(found), *written_lines(written)]
    except Exception as error:  # also mistakes of our own: they must not cost the user the model
        show_traceback()
        what = str(error) if isinstance(error, TinsmithError) else repr(error)
        say(
            "warning",
            f"no report: {what} The model is written and complete; --no-report leaves the report out.",
            "yellow",
        )
        return []


def _described(recipe: Recipe, path: Path | None) -> str:
    """Where the choices come from, and those that are not the defaults."""
    changed = {**recipe.model_dump(exclude_defaults=True), **recipe.preprocessing.model_dump(exclude_defaults=True)}
    words = [
        key if value is True else f"{key} {_text(value)}"
        for key, value in changed.items()
        if key not in ("target", "preprocessing")
    ]
    return "; ".join([*([] if path is None else [str(path)]), *words]) or "the defaults"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(inner)}" for key, inner in value.items() if inner is not None)
    if isinstance(value, tuple) and value and isinstance(value[0], dict):
        return " / ".join(map(_text, value))
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
