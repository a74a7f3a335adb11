"""Quantizers, pipelines, dispatchers, readers and writers by platform."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from tinsmith.compat.esp_ppq.core.quant import NetworkFramework, TargetPlatform
from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph
from tinsmith.compat.esp_ppq.parser.base import GraphBuilder, GraphExporter
from tinsmith.compat.esp_ppq.platforms import known, refused, target_of
from tinsmith.compat.esp_ppq.quantization.optim.base import (
    QuantizationOptimizationPass,
    QuantizationOptimizationPipeline,
)
from tinsmith.compat.esp_ppq.quantization.qfunction.generic import PPQuantFunction as QuantFunction
from tinsmith.compat.esp_ppq.quantization.quantizer.base import BaseQuantizer
from tinsmith.compat.esp_ppq.scheduler.base import DISPATCHER_TABLE, GraphDispatcher
from tinsmith.errors import RecipeError

__all__ = ["Dispatcher", "Exporter", "OperationForwardFunction", "Parser", "Pipeline", "QuantFunction", "Quantizer"]


def Quantizer(platform: TargetPlatform | int, graph: BaseGraph) -> BaseQuantizer:
    """Say for which chip a float graph is to be quantized, and how wide.

    Raises:
        RecipeError: The platform is none of ESP-DL's, or the graph is quantized already.
    """
    return BaseQuantizer(graph, platform)


def Pipeline(optims: Sequence[QuantizationOptimizationPass]) -> QuantizationOptimizationPipeline:
    """Passes, whose `optimize` quantizes a graph with what they stand for.

    Raises:
        RecipeError: One is no pass.
    """
    return QuantizationOptimizationPipeline(optims)


def Dispatcher(graph: BaseGraph, method: str = "conservative") -> GraphDispatcher:
    """Says where operators run.

    Raises:
        RecipeError: There is no such method.
    """
    if method not in DISPATCHER_TABLE:
        close = difflib.get_close_matches(str(method), DISPATCHER_TABLE, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Choose one of {', '.join(DISPATCHER_TABLE)}."
        raise RecipeError(f"there is no {method!r}.", subject="method", hint=hint)
    return DISPATCHER_TABLE[method](graph)


def Exporter(platform: TargetPlatform | int) -> GraphExporter:
    """Writes graphs: for a chip, as the float model (ONNX), as an exact ONNX model (ONNXRUNTIME), or to keep (NATIVE).

    Raises:
        RecipeError: The platform belongs to another runtime.
    """
    from tinsmith.compat.esp_ppq.lib.common import exporters
    from tinsmith.compat.esp_ppq.parser.espdl_exporter import EspdlExporter

    chosen = known(platform)
    if chosen in exporters():
        return exporters()[chosen]()
    target_of(chosen)
    return EspdlExporter(chosen)


def Parser(framework: NetworkFramework) -> GraphBuilder:
    """Reads graphs: of ONNX files, or `.espdl` files (NATIVE).

    Raises:
        RecipeError: It is another framework.
    """
    from tinsmith.compat.esp_ppq.lib.common import parsers

    if framework not in parsers():
        name = getattr(framework, "name", repr(framework))
        raise RecipeError(f"{name} is not read.", subject="framework", hint="Export to ONNX first.")
    return parsers()[framework]()


def OperationForwardFunction(optype: str, platform: TargetPlatform | int = TargetPlatform.FP32) -> Callable[..., Any]:
    """The float function of an operator.

    Raises:
        RecipeError: There is none.
    """
    from tinsmith.compat.esp_ppq.executor.handlers import OPERATION_FORWARD_TABLE

    chosen = known(platform)
    try:
        return OPERATION_FORWARD_TABLE[chosen][optype]
    except KeyError:
        if chosen not in OPERATION_FORWARD_TABLE:
            raise refused(chosen) from None
        raise RecipeError(f"there is no operator {optype!r}.", subject="optype", hint="Use ONNX's names.") from None
