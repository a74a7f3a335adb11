"""What changes graphs, searches them or is a command for that."""

from tinsmith.compat.esp_ppq.stand_ins import REWRITES, names

_ABSENT = {
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

__getattr__, __all__ = names("tinsmith.compat.esp_ppq.IR", {}, _ABSENT)
