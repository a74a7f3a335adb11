"""Where the names are that few scripts use; the packages take them in beside their own."""

from __future__ import annotations

from tinsmith.compat.esp_ppq.quantization.measure import __all__ as _measures
from tinsmith.compat.esp_ppq.quantization.optim import __all__ as _passes
from tinsmith.compat.esp_ppq.quantization.qfunction import __all__ as _functions
from tinsmith.compat.esp_ppq.quantization.quantizer import __all__ as _quantizers
from tinsmith.compat.esp_ppq.scheduler import __all__ as _schedulers
from tinsmith.compat.esp_ppq.stand_ins import FOLDERS, FORMATS, OLDER, REWRITES, STATE, STORING

Absent = dict[str, tuple[str, ...]]

API_ABSENT: Absent = {
    FOLDERS: (
        "compare_cosine_similarity_between_results",
        "create_dir",
        "dump_internal_results",
        "dump_to_file",
        "load_calibration_dataset",
        "load_from_file",
        "split_result_to_directory",
    ),
    STATE: ("StreamingGraphPass", "StreamingTable"),
    OLDER: ("UnbelievableUserFriendlyQuantizationSetting", "export", "quantize"),
}
CORE_ABSENT: Absent = {
    FORMATS: ("ChannelwiseTensorQuantizationConfig", "OperationMeta", "TensorMeta"),
    STORING: ("Serializable", "ValueState", "open_txt_file_from_writing"),
}
IR_ABSENT: Absent = {
    REWRITES: (
        "DefaultGraphProcessor",
        "DeviceSwitchOP",
        "GraphCommand",
        "GraphCommandProcessor",
        "GraphCommandType",
        "GraphDecomposer",
        "GraphDeployCommand",
        "GraphDeviceSwitcher",
        "GraphFormatter",
        "GraphMerger",
        "GraphPattern",
        "GraphReplacer",
        "OpSocket",
        "OperationBase",
        "OperationExporter",
        "Opset",
        "Path",
        "PatternMatchHelper",
        "QuantableGraph",
        "QuantizeOperationCommand",
        "ReplaceOperationCommand",
        "ReplaceVariableCommand",
        "SearchableGraph",
        "TraversalCommand",
        "TruncateGraphCommand",
        "VLink",
    )
}
_TYPING = ("Any", "Callable", "Dict", "Iterable", "List", "Set", "Text", "Union")


def _all(absent: Absent) -> list[str]:
    return [name for those in absent.values() for name in those]


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
    "DataType": "core.dtypes",
    "PPQ_CONFIG": "core.global_options",
    "is_file_exist": "core.storage",
    **dict.fromkeys(_all(CORE_ABSENT), "core.absent"),
    **dict.fromkeys(_TYPING, "core.typing_names"),
}

IR = {
    **dict.fromkeys(_all(IR_ABSENT), "IR.rewriting"),
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

API = {**dict.fromkeys(_all(API_ABSENT), "api.absent"), "empty_ppq_cache": "core.defs"}

TOP = {
    **CORE,
    **IR,
    **EXECUTOR,
    **dict.fromkeys(_measures, "quantization.measure"),
    **dict.fromkeys(_passes, "quantization.optim"),
    **dict.fromkeys(_quantizers, "quantization.quantizer"),
    **dict.fromkeys(_schedulers, "scheduler"),
    **dict.fromkeys(
        _functions,
        "quantization.qfunction",
    ),
    **dict.fromkeys(["ppq_numerical_round", "ppq_round_to_power_of_2", "ppq_tensor_round"], "utils.round"),
    "NaiveLogger": "log",
    "TorchQuantizeDelegator": "executor",
    **dict.fromkeys(
        ["LUTSimulationMode", "register_lut_op_handler", "set_lut_simulation_mode"], "executor.op.torch.espdl_lut"
    ),
}
