"""Reading and writing graphs."""

from tinsmith.compat.esp_ppq.stand_ins import RUNTIMES, names

_HOMES = {
    "BaseGraph": "IR",
    "EspdlExporter": "parser.espdl_exporter",
    "GraphBuilder": "parser.base",
    "GraphExporter": "parser.base",
    "NativeExporter": "parser.native",
    "NativeImporter": "parser.native",
    "NetworkFramework": "core",
    "ONNXRUNTIMExporter": "parser.onnxruntime_exporter",
    "OnnxExporter": "parser.onnx_exporter",
    "OnnxParser": "parser.onnx_parser",
    "TargetPlatform": "core",
}
_ABSENT = {
    RUNTIMES: (
        "AscendExporter",
        "ExtensionExporter",
        "MNNExporter",
        "NCNNExporter",
        "NxpExporter",
        "OpenvinoExporter",
        "PPLBackendExporter",
        "QNNDSPExporter",
        "TengineExporter",
        "TensorRTExporter_JSON",
        "TensorRTExporter_QDQ",
    )
}

__getattr__, __all__ = names(__name__, _HOMES, _ABSENT)
