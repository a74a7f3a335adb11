"""Names, order and defaults of arguments, as scripts use them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from tinsmith.compat.esp_ppq import api
from tinsmith.compat.esp_ppq.api import espdl_interface, interface
from tinsmith.compat.esp_ppq.executor import TorchExecutor

NONE = inspect.Parameter.empty

QUANTIZE = {
    "espdl_export_file": NONE,
    "calib_dataloader": NONE,
    "calib_steps": NONE,
    "input_shape": NONE,
    "inputs": None,
    "target": "esp32p4",
    "num_of_bits": 8,
    "collate_fn": None,
    "dispatching_override": None,
    "dispatching_method": "allin",
    "setting": None,
    "device": "cpu",
    "error_report": True,
    "skip_export": False,
    "export_config": True,
    "export_test_values": False,
    "test_output_names": None,
}
STREAMING = {
    "auto_streaming": False,
    "streaming_table": None,
    "streaming_input_shape": None,
    "streaming_custom_passes": None,
}
SIGNATURES: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (
        api.espdl_quantize_onnx,
        {"onnx_import_file": NONE, **QUANTIZE, **STREAMING, "verbose": 0, "quant_type": None, "debug": False},
    ),
    (
        api.espdl_quantize_torch,
        {"model": NONE, **QUANTIZE, "verbose": 0, "opset_version": 18, **STREAMING, "quant_type": None, "debug": False},
    ),
    (api.get_target_platform, {"target": NONE, "quant_type": "w8a8", "debug": False}),
    (
        api.insert_streaming_cache_on_var,
        {"var_name": NONE, "window_size": NONE, "op_name": None, "frame_axis": 1},
    ),
    (api.load_onnx_graph, {"onnx_import_file": NONE}),
    (api.load_native_graph, {"import_file": NONE}),
    (api.ENABLE_CUDA_KERNEL, {}),
    (TorchExecutor, {"graph": NONE, "fp16_mode": True, "device": "cpu"}),
    (TorchExecutor.forward, {"self": NONE, "inputs": NONE, "output_names": None, "hooks": None}),
    (
        TorchExecutor.partial_graph_forward,
        {"self": NONE, "operations": NONE, "feed_dict": NONE, "output_names": NONE},
    ),
    (TorchExecutor.tracing_operation_meta, {"self": NONE, "inputs": NONE, "output_names": None}),
    (
        api.quantize_onnx_model,
        {
            "onnx_import_file": NONE,
            "calib_dataloader": NONE,
            "calib_steps": NONE,
            "input_shape": NONE,
            "platform": NONE,
            "input_dtype": None,
            "inputs": None,
            "setting": None,
            "collate_fn": None,
            "device": "cpu",
            "verbose": 0,
            "do_quantize": True,
        },
    ),
    (
        api.export_ppq_graph,
        {"graph": NONE, "platform": NONE, "graph_save_to": NONE, "config_save_to": None, "copy_graph": True},
    ),
    (api.QuantizationSettingFactory.espdl_setting, {"num_of_bits": 8}),
]


@pytest.mark.parametrize(
    ("function", "expected"), SIGNATURES, ids=[function.__qualname__ for function, _ in SIGNATURES]
)
def test_arguments(function: Callable[..., Any], expected: dict[str, Any]) -> None:
    parameters = inspect.signature(function).parameters.values()
    named = {p.name: p.default for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD}
    assert list(named.items()) == list(expected.items())


@pytest.mark.parametrize("module", [espdl_interface, interface])
def test_names_come_from_the_modules_they_used_to(module: Any) -> None:
    for name in ("espdl_quantize_onnx", "get_target_platform", "load_onnx_graph", "quantize_onnx_model"):
        if hasattr(module, name):
            assert getattr(api, name) is getattr(module, name)


def test_a_misspelt_name_is_told() -> None:
    with pytest.raises(AttributeError, match="Did you mean 'espdl_quantize_onnx'"):
        _ = api.espdl_quantise_onnx
