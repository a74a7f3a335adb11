"""`EspdlExporter`: the files for the chip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinsmith.compat.esp_ppq.core.quant import TargetPlatform
from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph
from tinsmith.compat.esp_ppq.parser.base import GraphExporter
from tinsmith.compat.esp_ppq.parser.espdl.espdl_typedef import ExporterPatternInfo
from tinsmith.compat.esp_ppq.platforms import target_of
from tinsmith.errors import RecipeError


class EspdlExporter(GraphExporter):
    """Writes `.espdl`, `.info` and `.json`.

    Args:
        platform: The chip the graph is to be for; None: whatever it was quantized for.
    """

    def __init__(self, platform: TargetPlatform | None = None) -> None:
        self._platform = platform

    def export(
        self,
        file_path: str | Path,
        graph: BaseGraph,
        config_path: str | Path | None = None,
        model_version: int = 0,
        values_for_test: Mapping[str, Mapping[str, Any]] | None = None,
        export_config: bool = True,
        encrypt_data: bool = False,
        int16_lut_step: int | None = None,
        metadata_props: Mapping[str, str] | None = None,
        streaming_table: Any = None,
        auto_streaming: bool = False,
        streaming_input_shape: Any = None,
        streaming_custom_passes: Any = None,
    ) -> None:
        """Write a quantized graph.

        Args:
            file_path: Of the `.espdl` file; folders are made as needed.
            graph: The graph.
            config_path: Of the `.json` file; beside the other by default.
            model_version: For the file.
            values_for_test: Samples to embed, ``{"inputs": {name: tensor}}``; outputs are computed, exactly.
            export_config: Whether to write `.info` and `.json`.
            encrypt_data: Encrypt the file under a fresh key, which goes to ``<base>.key``.
            int16_lut_step: Of no effect: the table that the chip needs is written.
            metadata_props: For the file's metadata.
            streaming_table: Refused, as the next three.
            auto_streaming: Likewise.
            streaming_input_shape: Likewise.
            streaming_custom_passes: Likewise.

        Raises:
            ProgramError: The graph is not quantized.
            RecipeError: It was quantized for another chip, or an option cannot be had.
        """
        from tinsmith.compat.esp_ppq.files import export

        streaming = {
            "streaming_table": streaming_table,
            "auto_streaming": auto_streaming,
            "streaming_input_shape": streaming_input_shape,
            "streaming_custom_passes": streaming_custom_passes,
        }
        for name in (name for name, value in streaming.items() if value):
            reason = "models that keep state between frames are not made yet."
            raise RecipeError(reason, subject=name, hint="Leave it out: the whole window is computed each time.")
        self._check(graph)
        inputs = None if values_for_test is None else values_for_test.get("inputs")
        export(
            graph,
            file_path,
            config_path=config_path,
            export_config=export_config,
            test_inputs=dict(inputs) if inputs else None,
            test_values=values_for_test is not None,
            metadata_props=metadata_props,
            model_version=model_version,
            encrypt_data=encrypt_data,
        )
        if graph.program is not None:
            ExporterPatternInfo().fill(graph.program)

    def _check(self, graph: BaseGraph) -> None:
        if self._platform is None or graph.target is None:
            return
        wanted = target_of(self._platform)[0]
        if wanted.family != graph.target.family:
            reason = f"the graph was quantized for {graph.target.name}, and {self._platform.name} is asked for."
            raise RecipeError(reason, subject="platform", hint="Quantize for the chip that is to run it.")
