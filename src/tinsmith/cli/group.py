"""How commands end: errors and warnings in one line, exit codes that scripts can rely on."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import click

from tinsmith.errors import TinsmithError

DIFFERENT = 1
"""Exit code where a comparison found differences."""

REFUSED = 1
"""Exit code where a model does not deploy."""

FAILED = 2
"""Exit code of errors, as click's own for wrong usage."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

_TRACEBACK = "tinsmith.traceback"


class Group(click.Group):
    """Commands in the order of work; errors of tinsmith as one message on stderr."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; see the exit codes above."""
        with warnings_in_lines():
            try:
                return super().invoke(ctx)
            except TinsmithError as error:
                show_traceback()
                say("error", str(error), "red")
                ctx.exit(FAILED)
            except KeyboardInterrupt:
                show_traceback()
                click.echo("Interrupted.", err=True)
                ctx.exit(INTERRUPTED)


def _remember(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_TRACEBACK] = True


traceback_option = click.option(
    "--traceback", is_flag=True, expose_value=False, callback=_remember, help="Show where in the code an error arose."
)


def show_traceback() -> None:
    """Where the error that is being handled arose, for those who ask with ``--traceback``."""
    if click.get_current_context().meta.get(_TRACEBACK):
        click.echo(traceback.format_exc(), err=True, nl=False)


def say(kind: str, message: str, color: str, *, err: bool = True) -> None:
    """A message on stderr (stdout where not ``err``), its kind in front."""
    click.echo(f"{click.style(f'{kind}:', fg=color, bold=True)} {message}", err=err)


@contextmanager
def warnings_in_lines() -> Iterator[None]:
    """Warnings as one line each on stderr, every text once; those about deprecation are for developers."""
    said: set[str] = set()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = " ".join(str(message).split())
        if text not in said:
            said.add(text)
            say("warning", text, "yellow")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
        warnings.showwarning = show
        yield
