"""What scripts print while they run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from tinsmith.report.terminal import console

Tell = Callable[[str, int, int | None], None]


def say(lines: Iterable[str]) -> None:
    """Lines on stdout."""
    out = console()
    for line in lines:
        out.print(line, soft_wrap=True)


@contextmanager
def stages() -> Iterator[Tell]:
    """Shows which stage runs; nothing where stderr is no terminal, and nothing stays behind."""
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    with console(stderr=True).status("tinsmith") as status:
        yield lambda stage, done, total: status.update(stage if not total else f"{stage} {done}/{total}")
