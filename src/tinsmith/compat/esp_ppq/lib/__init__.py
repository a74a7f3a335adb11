"""The foundation library, which scripts import as `PFL`."""

from tinsmith.compat.esp_ppq.stand_ins import FORMATS, GRADIENTS, OBSERVERS, names

_HOMES = {
    **dict.fromkeys(
        [
            "Dispatcher",
            "Exporter",
            "OperationForwardFunction",
            "Parser",
            "Pipeline",
            "Quantizer",
        ],
        "lib.quant",
    ),
    **dict.fromkeys(
        [
            "register_calibration_observer",
            "register_network_exporter",
            "register_network_parser",
            "register_network_quantizer",
        ],
        "lib.extension",
    ),
    "QuantFunction": "lib.quant",
    "register_operation_handler": "executor.handlers",
}
_ABSENT = {
    FORMATS: ("FloatingQuantizationConfig", "LinearQuantizationConfig"),
    OBSERVERS: ("Observer",),
    GRADIENTS: ("ParameterQuant", "TensorQuant"),
}

__getattr__, __all__ = names(__name__, _HOMES, _ABSENT)
