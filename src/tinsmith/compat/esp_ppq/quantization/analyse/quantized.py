"""What the analyses need of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinsmith.errors import ProgramError

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph
    from tinsmith.quantized import Quantized


def quantized_of(graph: BaseGraph) -> Quantized:
    """The quantized network of a graph.

    Raises:
        ProgramError: It has none: it is a float graph, or comes from a file, which holds no float network.
    """
    if graph.quantized is not None:
        return graph.quantized
    if graph.program is not None:
        reason = "comes from an .espdl file, which holds no float network to compare with."
    else:
        reason = "is not quantized."
    hint = "Give the graph that espdl_quantize_onnx, espdl_quantize_torch or quantize_onnx_model returns."
    raise ProgramError(reason, subject="graph", hint=hint)
