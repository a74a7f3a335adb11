"""`ONNXRUNTIMExporter`: the chip's arithmetic as an ONNX model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph
from tinsmith.compat.esp_ppq.parser.base import GraphExporter
from tinsmith.errors import ProgramError


class ONNXRUNTIMExporter(GraphExporter):
    """Writes an ONNX model that computes exactly what the chip does: see `tinsmith.save_twin`."""

    def __init__(self, removed_activation_types: Sequence[str] = ()) -> None:
        self.removed_activation_types = removed_activation_types

    def export(self, file_path: str | Path, graph: BaseGraph, config_path: str | Path | None = None) -> None:
        """Write the model.

        Args:
            file_path: Where to.
            graph: The graph.
            config_path: Where the exponents go, as JSON; None for nowhere.

        Raises:
            ProgramError: The graph is not quantized, or has nodes that ONNX cannot express exactly.
        """
        from tinsmith.files import write_all
        from tinsmith.simulator.twin import save_twin

        if graph.program is None:
            raise ProgramError("is not quantized.", subject="graph", hint="Quantize it first.")
        save_twin(graph.program, file_path, graph.target)
        if config_path is not None and graph.quantized is not None:
            write_all({Path(config_path): graph.quantized.formats_text().encode()})
