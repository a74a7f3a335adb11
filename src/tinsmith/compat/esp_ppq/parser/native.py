"""`NativeExporter` and `NativeImporter`: quantized graphs kept for later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph
from tinsmith.compat.esp_ppq.parser.base import GraphBuilder, GraphExporter
from tinsmith.errors import ProgramError


class NativeExporter(GraphExporter):
    """Writes what the chip gets, as an `.espdl` file whatever its name: data, and nothing that runs when loaded."""

    def export(
        self,
        file_path: str | Path,
        graph: BaseGraph,
        config_path: str | Path | None = None,
        dump_value: bool = True,
    ) -> None:
        """Write a quantized graph; `load_native_graph` reads it.

        Args:
            file_path: Where to; folders are made as needed.
            graph: The graph.
            config_path: Of no effect.
            dump_value: Of no effect: weights are always there.

        Raises:
            ProgramError: The graph is not quantized.
        """
        from tinsmith.espdl.encoder import encode
        from tinsmith.files import write_all

        if graph.program is None:
            hint = "Quantize it first, or keep the ONNX file."
            raise ProgramError("is not quantized.", subject="graph", hint=hint)
        write_all({Path(file_path): encode(graph.program)})


class NativeImporter(GraphBuilder):
    """Reads what `NativeExporter` writes, and any `.espdl` file."""

    def build(self, file_path: str | Path, **options: Any) -> BaseGraph:
        """The program in a file.

        Raises:
            FormatError: It is none; esp-ppq's own graph files run code when they are loaded, and are not read.
        """
        from tinsmith.compat.esp_ppq.api.interface import load_native_graph

        return load_native_graph(file_path)
