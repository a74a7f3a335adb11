"""Files."""

from __future__ import annotations

from pathlib import Path


def is_file_exist(file: str | Path) -> bool:
    """Whether there is such a file."""
    return Path(file).is_file()
