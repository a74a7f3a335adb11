"""`OnnxExporter`: the float model."""

from __future__ import annotations

from pathlib import Path

from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph
from tinsmith.compat.esp_ppq.parser.base import GraphExporter
from tinsmith.errors import ProgramError


class OnnxExporter(GraphExporter):
    """Writes the float model of a graph: of a quantized one, in the form in which it was quantized."""

    def export(
        self,
        file_path: str | Path,
        graph: BaseGraph,
        config_path: str | Path | None = None,
        save_as_external_data: bool = False,
    ) -> None:
        """Write the float model.

        Args:
            file_path: Where to; folders are made as needed.
            graph: The graph.
            config_path: Where the exponents of a quantized graph go, as JSON; None for nowhere.
            save_as_external_data: Of no effect.

        Raises:
            ProgramError: The graph is the program of a file, which has no float model.
        """
        import onnx_ir as ir

        from tinsmith.files import write_all

        if graph.model is None:
            raise ProgramError("is a program, and has no float model.", subject="graph", hint="Keep the ONNX file.")
        contents = {Path(file_path): ir.to_proto(graph.model).SerializeToString()}
        if config_path is not None and graph.quantized is not None:
            contents[Path(config_path)] = graph.quantized.formats_text().encode()
        write_all(contents)
