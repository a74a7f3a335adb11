"""What all commands have in common: help, errors, warnings, interruptions, exit codes."""

from __future__ import annotations

import subprocess
import sys
import typing
import warnings
from typing import Any

import click
import pytest

import tinsmith as package
from tests.cli.conftest import Workshop
from tests.cli.shell import error, ok, tinsmith
from tinsmith.cli import main
from tinsmith.cli.group import warnings_in_lines

COMMANDS = [
    "check",
    "calibration",
    "quantize",
    "report",
    "analyze",
    "profile",
    "run",
    "eval",
    "compare",
    "inspect",
    "diff",
    "twin",
    "targets",
    "boards",
    "ops",
]


def test_the_commands_are_listed_in_the_order_of_work() -> None:
    listing = ok("--help").partition("Commands:")[2]
    assert [line.split()[0] for line in listing.splitlines() if line.strip()] == COMMANDS
    assert "..." not in listing


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_explained(command: str) -> None:
    assert ok(command, "-h") == ok(command, "--help")
    found = main.commands[command]
    assert found.help
    options = [option for option in found.params if isinstance(option, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_version() -> None:
    assert ok("--version") == f"tinsmith {package.__version__}\n"


def test_as_a_module() -> None:
    run = subprocess.run([sys.executable, "-m", "tinsmith", "--version"], check=True, capture_output=True, text=True)
    assert run.stdout == f"tinsmith {package.__version__}\n"


def test_help_imports_click_and_nothing_of_ours() -> None:
    script = (
        "import sys\n"
        "from tinsmith.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print('\\n'.join(name for name in sys.modules), file=sys.stderr)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    loaded = set(run.stderr.split())
    assert "tinsmith.cli.group" in loaded
    assert (
        loaded & {"numpy", "onnx", "onnxruntime", "rich", "pydantic", "tinsmith.program", "tinsmith.pipeline"} == set()
    )


def test_a_misspelt_option_and_command() -> None:
    assert "--target" in error("ops", "--targte", "esp32s3")
    assert "No such command" in error("quantise")


def test_the_choices_are_those_of_recipes() -> None:
    from tinsmith.recipe import Calibration, Preprocessing

    def choices(name: str) -> list[str]:
        (option,) = (option for option in main.commands["quantize"].params if option.name == name)
        assert isinstance(option.type, click.Choice)
        return list(option.type.choices)

    def allowed(field: str) -> list[str]:
        annotation: Any = Preprocessing.model_fields[field].annotation
        return [value for part in typing.get_args(annotation) for value in typing.get_args(part)]

    assert choices("calibration") == list(typing.get_args(Calibration))
    assert choices("color") == allowed("color")
    assert choices("layout") == allowed("layout")


def test_an_error_is_one_message_on_stderr(workshop: Workshop) -> None:
    outcome = tinsmith("inspect", workshop.model)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"error: {workshop.model}: ")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("before", [True, False], ids=["before the command", "after it"])
def test_a_traceback_is_there_for_those_who_ask(workshop: Workshop, before: bool) -> None:
    arguments = ("--traceback", "inspect", workshop.model) if before else ("inspect", workshop.model, "--traceback")
    outcome = tinsmith(*arguments)
    assert outcome.code == 2
    assert outcome.err.startswith("Traceback (most recent call last):\n")
    assert outcome.err.splitlines()[-1].startswith(f"error: {workshop.model}: ")


def test_control_c_ends_cleanly(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tinsmith.files.Path.replace", interrupted)
    folder = tmp_path_factory.mktemp("out")
    outcome = tinsmith("quantize", workshop.model, "--data", workshop.calibration, "-o", folder)
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "Interrupted.\n")
    assert list(folder.iterdir()) == []


def test_mistakes_of_our_own_are_not_hidden(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tinsmith.espdl.files.decode", broken)
    with pytest.raises(ZeroDivisionError):
        tinsmith("inspect", workshop.espdl)


def test_warnings_take_a_line_each_and_come_once(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings_in_lines():
        for _ in range(2):
            warnings.warn("first\n  of all", stacklevel=1)
            warnings.warn("second", RuntimeWarning, stacklevel=1)
            warnings.warn("for developers", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err.splitlines() == ["warning: first of all", "warning: second"]
