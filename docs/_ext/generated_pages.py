"""Pages that the code itself writes before each build: commands, chips. They land in `docs/generated/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def commands_page() -> str:
    """The help of every command, as the terminal shows it."""
    from tinsmith.cli import main

    context = click.Context(main, info_name="tinsmith", terminal_width=100)
    lines = ["# Commands", "", _help(main, context)]
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context, terminal_width=100)
        lines += [f"## `tinsmith {name}`", "", _help(command, inner)]
    return "\n".join(lines)


def _help(command: click.Command, context: click.Context) -> str:
    return f"```text\n{command.get_help(context)}\n```\n"


def targets_page() -> str:
    """What differs between the chips."""
    from tinsmith.targets import CURRENT, TARGETS

    lines = [
        "# Chips",
        "",
        "| target | family | rounding | weights | int8 accumulator | bias bits, int8 / int16 | ESP-DL |",
        "|---|---|---|---|---|---|---|",
    ]
    for target in TARGETS.values():
        vector = target.linear[8].vector
        lane = f"{vector.bits} bit" + ("" if vector.saturation.value == "never" else ", saturating")
        weights = "per channel" if target.per_channel else "per tensor"
        bias = f"{target.linear[8].bias_bits} / {target.linear[16].bias_bits}"
        row = (f"`{target.name}`", target.family, target.rounding.value, weights, lane, bias, f"≥ {target.since}")
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join([*lines, "", f"The arithmetic is that of ESP-DL {CURRENT}, by default.", ""])


PAGES = {"commands.md": commands_page, "targets.md": targets_page}


def write_pages(app: Sphinx) -> None:
    """Write each page, leaving alone those that did not change."""
    folder = Path(app.srcdir) / "generated"
    folder.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        path, text = folder / name, page()
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
