"""Where tests find reference files that are not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("TINSMITH_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def shared_path(relative: str) -> Path:
    """The file or folder below the reference root; skips the test, saying so, where it is absent."""
    path = ROOT / relative
    if not path.exists():
        pytest.skip(f"needs the reference files: {path} is absent (set TINSMITH_SHARED)")
    return path


def shared_files(pattern: str) -> list[Path]:
    """Files matching a glob below the reference root, for parametrization; empty where it is absent."""
    return sorted(ROOT.glob(pattern)) if ROOT.exists() else []
