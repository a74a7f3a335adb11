"""``tinsmith targets`` and ``ops``."""

from __future__ import annotations

import click

from tinsmith.cli.options import common_options


@click.command("targets")
@common_options
def targets_command() -> None:
    """List the chips and what differs between them."""
    from tinsmith.report.terminal import console, targets_table

    console().print(targets_table())


@click.command("ops")
@click.option("--target", metavar="CHIP", default="esp32s3", show_default=True, help="The chip.")
@common_options
def ops_command(target: str) -> None:
    """List the operators, their precisions and limits."""
    from tinsmith.report.terminal import console, operators_table
    from tinsmith.targets import find

    console().print(operators_table(find(target)))
