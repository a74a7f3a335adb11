"""What readers and writers have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph


class GraphBuilder:
    """Reads graphs."""

    def build(self, file_path: str | Path, **options: Any) -> BaseGraph:
        """The graph of a file."""
        raise NotImplementedError


class GraphExporter:
    """Writes graphs."""

    def export(self, file_path: str | Path, graph: BaseGraph, config_path: str | Path | None = None) -> None:
        """Writes a graph."""
        raise NotImplementedError
