"""Runs scripts in this process, as users would in one of their own."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
from pathlib import Path
from unittest import mock


def ran(script: Path, *arguments: str | Path) -> str:
    """What a script prints. Modules that lie beside it are forgotten afterwards."""
    printed = io.StringIO()
    argv, path = [str(script), *map(str, arguments)], [str(script.parent), *sys.path]
    with mock.patch.object(sys, "argv", argv), mock.patch.object(sys, "path", path):
        try:
            with contextlib.redirect_stdout(printed):
                runpy.run_path(str(script), run_name="__main__")
        finally:
            for name, module in list(sys.modules.items()):
                if getattr(module, "__file__", None) and Path(str(module.__file__)).parent == script.parent:
                    del sys.modules[name]
    return printed.getvalue()
