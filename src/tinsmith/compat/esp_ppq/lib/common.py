"""What reads and writes by platform."""

from __future__ import annotations

from tinsmith.compat.esp_ppq.core.quant import NetworkFramework, TargetPlatform
from tinsmith.compat.esp_ppq.parser.base import GraphBuilder, GraphExporter


def exporters() -> dict[TargetPlatform, type[GraphExporter]]:
    """Writers of what is not for a chip."""
    from tinsmith.compat.esp_ppq.parser.native import NativeExporter
    from tinsmith.compat.esp_ppq.parser.onnx_exporter import OnnxExporter
    from tinsmith.compat.esp_ppq.parser.onnxruntime_exporter import ONNXRUNTIMExporter

    return {
        TargetPlatform.ONNX: OnnxExporter,
        TargetPlatform.ONNXRUNTIME: ONNXRUNTIMExporter,
        TargetPlatform.NATIVE: NativeExporter,
    }


def parsers() -> dict[NetworkFramework, type[GraphBuilder]]:
    """Readers."""
    from tinsmith.compat.esp_ppq.parser.native import NativeImporter
    from tinsmith.compat.esp_ppq.parser.onnx_parser import OnnxParser

    return {NetworkFramework.ONNX: OnnxParser, NetworkFramework.NATIVE: NativeImporter}
