"""Files of PyTorch, told apart by what is in them, and opened without running anything that they bring along."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any


def open_file(torch: ModuleType, path: Path) -> Any:
    """The program in a file."""
    if path.suffix == ".pt2":
        return torch.export.load(str(path))
    return torch.jit.load(str(path), map_location="cpu")
