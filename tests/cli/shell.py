"""Running commands as a user does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
from click.testing import CliRunner

from tinsmith.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


def tinsmith(*arguments: str | Path) -> Outcome:
    """Run the command; errors that are nobody's intention are raised."""
    runner = CliRunner(env={"COLUMNS": "120"}, **({} if _streams_apart() else {"mix_stderr": False}))
    result = runner.invoke(main, [str(argument) for argument in arguments], prog_name="tinsmith")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


def ok(*arguments: str | Path) -> str:
    """What a command that succeeds prints on stdout."""
    outcome = tinsmith(*arguments)
    assert outcome.code == 0, outcome
    return outcome.out


def error(*arguments: str | Path, code: int = 2) -> str:
    """What a command that fails prints on stderr: one message, never a traceback."""
    outcome = tinsmith(*arguments)
    assert outcome.code == code, outcome
    assert "Traceback" not in outcome.err
    return outcome.err


def rows(text: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in text.splitlines() if line.strip()]


def _streams_apart() -> bool:
    """Whether stderr is apart from stdout without being asked for: since click 8.2."""
    return "mix_stderr" not in click.testing.CliRunner.__init__.__code__.co_varnames
