"""`OnnxParser`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph
from tinsmith.compat.esp_ppq.parser.base import GraphBuilder


class OnnxParser(GraphBuilder):
    """Reads ONNX files."""

    def build(self, file_path: str | Path, **options: Any) -> BaseGraph:
        """The graph of an ONNX file, in float.

        Raises:
            ModelError: The file cannot be read.
        """
        from tinsmith.compat.esp_ppq.api.interface import load_onnx_graph

        return load_onnx_graph(file_path)
