"""``tinsmith run`` and ``eval``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinsmith.cli.group import DIFFERENT
from tinsmith.cli.options import (
    common_options,
    data_options,
    data_path,
    esp_dl_option,
    existing_file,
    existing_model,
    saturation_option,
    target_option,
    written_file,
    written_folder,
)

if TYPE_CHECKING:
    from tinsmith.program import Array, Program


@click.command("run")
@click.argument("file", type=existing_file)
@click.option("--input", "inputs", multiple=True, metavar="[NAME=]X.npy", help="An input; an .npz may hold several.")
@target_option
@esp_dl_option
@click.option("-o", "--output", type=written_file, metavar="OUT.npz", help="Save the outputs.")
@click.option("--save-all", type=written_folder, metavar="DIR", help="Save every tensor of the network, a .npy each.")
@click.option("--dequantize", is_flag=True, help="Save real numbers in the model's layout, not integers.")
@click.option("--interpret", is_flag=True, help="Run node by node in the interpreter: slower, with the same result.")
@saturation_option
@common_options
def run_command(
    file: Path,
    inputs: tuple[str, ...],
    target: str | None,
    esp_dl: str | None,
    output: Path | None,
    save_all: Path | None,
    dequantize: bool,
    interpret: bool,
    assume_no_saturation: bool,
) -> None:
    """Run a file on the PC exactly as the chip would.

    Floats are taken in the model's own layout and quantized, integers in the file's, one sample or a batch. Without
    --input the sample embedded in the file is run and compared with the outputs embedded there; exit code 1 where they
    differ.
    """
    from tinsmith.cli.arrays import read_inputs, save_arrays
    from tinsmith.espdl import read
    from tinsmith.report.compare.tensor_files import save_tensors
    from tinsmith.report.terminal import console, tensors_table
    from tinsmith.simulator.run import dequantize as to_real
    from tinsmith.simulator.run import simulate, target_of

    program = read(file)
    chip = target_of(program, target, esp_dl)
    given = read_inputs(program, inputs)
    found = simulate(
        program,
        given,
        chip,
        save_all is not None,
        not interpret,
        assume_no_saturation=assume_no_saturation,
    )
    outputs = {value.name: found[value.name] for value in program.outputs}
    screen = console()
    screen.print(tensors_table(program, outputs))
    if output is not None:
        path = save_arrays(output, to_real(program, outputs) if dequantize else outputs)
        screen.print(f"outputs in {path}", soft_wrap=True)
    if save_all is not None:
        count = save_tensors(save_all, program, to_real(program, found) if dequantize else found)
        screen.print(f"{count} tensors in {save_all}", soft_wrap=True)
    if not inputs:
        _compare(program, outputs)


def _compare(program: Program, outputs: dict[str, Array]) -> None:
    """Say how the outputs differ from those embedded in the file."""
    if not program.test_outputs:
        click.echo("The file holds no outputs to compare with.")
        return
    same = True
    for name, expected in program.test_outputs.items():
        found = outputs[name].reshape(expected.shape) if outputs[name].size == expected.size else outputs[name]
        differing = int((found != expected).sum()) if found.shape == expected.shape else expected.size
        same = same and differing == 0
        click.echo(f"{name}: {differing} of {expected.size} elements differ from those in the file.")
    if not same:
        click.get_current_context().exit(DIFFERENT)


@click.command("eval")
@click.argument("file", type=existing_file)
@click.option(
    "--data", type=data_path, required=True, metavar="PATH", help="Samples: .npy, .npz[:KEY] or a folder of images."
)
@click.option("--labels", metavar="PATH", help="Class indices: .npy, .npz[:KEY], or .csv with columns file, label.")
@click.option("--float", "float_model", type=existing_model, metavar="MODEL", help="The float model, to compare with.")
@target_option
@esp_dl_option
@data_options
@saturation_option
@common_options
def eval_command(
    file: Path,
    data: str,
    labels: str | None,
    float_model: Path | None,
    target: str | None,
    esp_dl: str | None,
    **options: Any,
) -> None:
    """Measure accuracy, and closeness to the float model.

    Accuracy needs --labels; agreement, SNR and cosine of each output need --float.
    """
    from tinsmith.cli.progress import stages
    from tinsmith.espdl import read
    from tinsmith.report.evaluate import evaluate
    from tinsmith.report.terminal import console, evaluation_tables
    from tinsmith.simulator.run import target_of

    program = read(file)
    chip = target_of(program, target, esp_dl)
    with stages() as tell:
        found = evaluate(
            program,
            data,
            labels,
            float_model,
            chip,
            progress=lambda done, total: tell("evaluate", done, total),
            **options,
        )
    screen = console()
    for table in evaluation_tables(found):
        screen.print(table)
