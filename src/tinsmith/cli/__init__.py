"""The command line: a thin shell over the same functions. Imports nothing but click before a command runs."""

from __future__ import annotations

import click

from tinsmith import __version__
from tinsmith.cli import analyzing, calibrating, checking, comparing, files, lists, measure, prepare, reporting
from tinsmith.cli.group import Group, traceback_option


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
@traceback_option
def main() -> None:
    """Takes trained float networks to Espressif chips, and runs them on the PC bit for bit as the chip would."""


for _command in (
    checking.check_command,
    calibrating.calibration_command,
    prepare.quantize_command,
    reporting.report_command,
    analyzing.analyze_command,
    reporting.profile_command,
    measure.run_command,
    measure.eval_command,
    comparing.compare_command,
    files.inspect_command,
    files.diff_command,
    files.twin_command,
    lists.targets_command,
    lists.boards_command,
    lists.ops_command,
):
    main.add_command(_command)

__all__ = ["main"]
