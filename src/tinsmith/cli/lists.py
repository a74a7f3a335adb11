"""``tinsmith targets``, ``boards`` and ``ops``."""

from __future__ import annotations

import click

from tinsmith.cli.options import common_options, esp_dl_option


@click.command("targets")
@common_options
def targets_command() -> None:
    """List the chips and what differs between them."""
    from tinsmith.report.terminal import console, targets_table

    console().print(targets_table())


@click.command("boards")
@common_options
def boards_command() -> None:
    """List the boards that --board knows, and what they offer.

    Of others give the memory of the module as Espressif writes it: N8R2 has 8 MB of flash and 2 MB of PSRAM.
    """
    from tinsmith.report.terminal import boards_table, console

    console().print(boards_table())


@click.command("ops")
@click.option("--target", metavar="CHIP", default="esp32s3", show_default=True, help="The chip.")
@esp_dl_option
@click.option("--markdown", is_flag=True, help="Print the manual's page about all chips instead.")
@common_options
def ops_command(target: str, esp_dl: str | None, markdown: bool) -> None:
    """List the operators, their precisions and limits."""
    if markdown:
        from tinsmith.report.operators_page import operators_page

        click.echo(operators_page(), nl=False)
        return
    from tinsmith.report.terminal import console, operators_table
    from tinsmith.targets import find

    console().print(operators_table(find(target, esp_dl)))
