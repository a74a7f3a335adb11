"""``tinsmith targets`` and ``ops``."""

from __future__ import annotations

import click

from tinsmith.cli.options import common_options, esp_dl_option


@click.command("targets")
@common_options
def targets_command() -> None:
    """List the chips and what differs between them."""
    from tinsmith.report.terminal import console, targets_table

    console().print(targets_table())


@click.command("ops")
@click.option("--target", metavar="CHIP", default="esp32s3", show_default=True, help="The chip.")
@esp_dl_option
@common_options
def ops_command(target: str, esp_dl: str | None) -> None:
    """List the operators, their precisions and limits."""
    from tinsmith.report.terminal import console, operators_table
    from tinsmith.targets import find

    console().print(operators_table(find(target, esp_dl)))
