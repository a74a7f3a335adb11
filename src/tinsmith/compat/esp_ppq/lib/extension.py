"""Registration, which esp-ppq has and tinsmith has not: each function says what to do instead."""

from __future__ import annotations

from typing import Any, NoReturn

from tinsmith.compat.esp_ppq.executor.handlers import register_operation_handler
from tinsmith.errors import RecipeError

__all__ = [
    "register_calibration_observer",
    "register_network_exporter",
    "register_network_parser",
    "register_network_quantizer",
    "register_operation_handler",
]


def register_network_quantizer(quantizer: type, platform: Any) -> NoReturn:
    """Refused.

    Raises:
        RecipeError: Always.
    """
    _refuse("register_network_quantizer", "formats are chosen by the chip's rules.", "Use a QuantizationSetting.")


def register_network_parser(parser: type, framework: Any) -> NoReturn:
    """Refused.

    Raises:
        RecipeError: Always.
    """
    _refuse("register_network_parser", "there is one way in.", "Export the model to ONNX, or load it with onnx_ir.")


def register_network_exporter(exporter: type, platform: Any) -> NoReturn:
    """Refused.

    Raises:
        RecipeError: Always.
    """
    hint = "Call the exporter's own export(file_path, graph); graph.quantized and graph.program have everything."
    _refuse("register_network_exporter", "there is one way out.", hint)


def register_calibration_observer(algorithm: str, observer: type) -> NoReturn:
    """Refused.

    Raises:
        RecipeError: Always.
    """
    hint = "Choose setting.quantize_activation_setting.calib_algorithm: 'mse', 'kl', 'percentile' or 'minmax'."
    _refuse("register_calibration_observer", "all values are observed in one pass of the float model.", hint)


def _refuse(subject: str, reason: str, hint: str) -> NoReturn:
    raise RecipeError(f"is not available: {reason}", subject=subject, hint=hint)
