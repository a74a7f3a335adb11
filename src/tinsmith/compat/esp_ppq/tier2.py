"""Where the names are that few scripts use; the packages take them in beside their own."""

from __future__ import annotations

from tinsmith.compat.esp_ppq.quantization.measure import __all__ as _measures
from tinsmith.compat.esp_ppq.quantization.optim import __all__ as _passes
from tinsmith.compat.esp_ppq.quantization.quantizer import __all__ as _quantizers
from tinsmith.compat.esp_ppq.scheduler import __all__ as _schedulers

CORE = {
    **dict.fromkeys(
        [
            "SingletonMeta",
            "empty_ppq_cache",
            "ppq_debug_function",
            "ppq_file_io",
            "ppq_info",
            "ppq_legacy",
            "ppq_quant_param_computing_function",
            "ppq_warning",
        ],
        "core.defs",
    ),
    **dict.fromkeys(
        [
            "convert_any_to_numpy",
            "convert_any_to_python_primary_type",
            "convert_any_to_string",
            "convert_any_to_torch_tensor",
            "convert_primary_type_to_list",
        ],
        "core.data",
    ),
    "CUDA": "core.ffi",
    "is_file_exist": "core.storage",
}

IR = {
    **dict.fromkeys(
        [
            "GraphCommand",
            "GraphCommandProcessor",
            "GraphCommandType",
            "GraphFormatter",
            "GraphMerger",
            "GraphReplacer",
            "OperationExporter",
            "QuantableGraph",
            "SearchableGraph",
            "TraversalCommand",
        ],
        "IR.rewriting",
    ),
    "GraphBuilder": "parser.base",
    "GraphExporter": "parser.base",
    "RunnableGraph": "IR.deploy",
    "TrainableGraph": "IR.training",
}

EXECUTOR = {
    "OPERATION_FORWARD_TABLE": "executor.handlers",
    "register_operation_handler": "executor.handlers",
    "QuantOPRuntimeHook": "executor.hooks",
    "RuntimeHook": "executor.hooks",
}

TOP = {
    **CORE,
    **IR,
    **EXECUTOR,
    **dict.fromkeys(_measures, "quantization.measure"),
    **dict.fromkeys(_passes, "quantization.optim"),
    **dict.fromkeys(_quantizers, "quantization.quantizer"),
    **dict.fromkeys(_schedulers, "scheduler"),
    **dict.fromkeys(
        ["PPQLinearQuantFunction", "PPQLinearQuant_toInt", "PPQuantFunction", "PPQuantFunction_toInt"],
        "quantization.qfunction",
    ),
    **dict.fromkeys(["ppq_numerical_round", "ppq_round_to_power_of_2", "ppq_tensor_round"], "utils.round"),
    "NaiveLogger": "log",
}
