"""``tinsmith check``."""

from __future__ import annotations

from pathlib import Path

import click

from tinsmith.cli.group import REFUSED, say
from tinsmith.cli.options import common_options, esp_dl_option, existing_model, opening_options, width_options


@click.command("check")
@click.argument("model", type=existing_model)
@click.option("--target", metavar="CHIP", default="esp32s3", show_default=True, help="The chip.")
@esp_dl_option
@width_options
@opening_options
@click.option("--all", "every", is_flag=True, help="Show every node, those too that run as they are.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@common_options
def check_command(
    model: Path,
    target: str,
    esp_dl: str | None,
    bits: int | None,
    int16: tuple[str, ...] | None,
    input_shapes: dict[str, tuple[int, ...]] | None,
    outputs: tuple[str, ...] | None,
    every: bool,
    as_json: bool,
) -> None:
    """Say whether a float model will run on a chip.

    Needs no data. Lists what is rewritten and every reason why it does not deploy; the exit code is 1 where there is
    one, and 2 where the file cannot be read.
    """
    from tinsmith.verdict.deciding import check

    verdict = check(
        model,
        target,
        bits=bits or 8,
        int16=int16 or (),
        esp_dl=esp_dl,
        input_shapes=input_shapes,
        outputs=outputs,
    )
    if as_json:
        click.echo(verdict.to_json(), nl=False)
    else:
        from tinsmith.report.terminal import console
        from tinsmith.report.verdict import refusal_lines, verdict_head, verdict_table

        screen = console()
        screen.print(verdict_head(verdict), soft_wrap=True)
        if verdict.rows:
            screen.print(verdict_table(verdict, every=every))
        for line in refusal_lines(verdict):
            say("refused", line, "red", err=False)
        for note in verdict.notes:
            click.echo(f"note: {note}")
    if not verdict.deployable:
        click.get_current_context().exit(REFUSED)
