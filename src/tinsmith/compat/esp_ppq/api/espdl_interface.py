"""`espdl_quantize_onnx` and `espdl_quantize_torch`: from a float model to the three files, in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.compat.esp_ppq.api.arguments import OF_FILES, Arguments, extra_options, width_of
from tinsmith.compat.esp_ppq.core.quant import TargetPlatform
from tinsmith.compat.esp_ppq.platforms import platform_of
from tinsmith.errors import RecipeError
from tinsmith.extras import require
from tinsmith.targets import find

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.api.setting import QuantizationSetting
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph


def get_target_platform(
    target: str, quant_type: str | int = "w8a8", debug: bool = False, **kwargs: Any
) -> TargetPlatform:
    """The platform of a chip and a width.

    Args:
        target: The chip: ``esp32p4``, ``esp32s3``, ``c``…
        quant_type: ``w8a8``, ``w16a16``, or the number of bits.
        debug: Of no effect: everything is simulated exactly.
        **kwargs: ``num_of_bits``, ``float`` and ``hi_precision`` of older scripts.

    Raises:
        RecipeError: The chip is unknown, or runs nothing of the kind (``w8a16``).
    """
    known = ("num_of_bits", "float", "hi_precision")
    extra_options(kwargs, known, "get_target_platform")
    if isinstance(quant_type, bool) or not isinstance(quant_type, (str, int)):
        raise RecipeError(f"is {quant_type!r}.", subject="quant_type", hint="Give 'w8a8' or 'w16a16', or 8 or 16.")
    if kwargs.get("float", False) or quant_type == "none":
        find(target)
        return TargetPlatform.FP32
    narrow = quant_type == "w8a8"
    bits = width_of(kwargs.get("num_of_bits", 8), "num_of_bits") if narrow else width_of(quant_type)
    return platform_of(find(target), bits)


def insert_streaming_cache_on_var(
    var_name: str, window_size: int, op_name: str | None = None, frame_axis: int = 1
) -> dict[str, Any]:
    """An entry of a `streaming_table`.

    Args:
        var_name: The value to remember.
        window_size: Of how many frames.
        op_name: The operator that reads or computes it.
        frame_axis: The axis of the frames.

    Returns:
        The options by value name. `espdl_quantize_onnx` refuses them so far.
    """
    return {var_name: {"window_size": window_size, "op_name": op_name, "frame_axis": frame_axis}}


def get_random_inputs(input_shape: Any, dtype: Any = None, device: str = "cpu") -> list[Any]:
    """Tensors of normally distributed numbers, one for each shape."""
    from tinsmith.compat.esp_ppq.samples import shapes_of

    torch = require("torch", "torch", "get_random_inputs")
    return [torch.randn(shape, dtype=dtype, device=device) for shape in shapes_of(input_shape)]


def generate_test_value(
    graph: BaseGraph, running_device: str, inputs: Any, output_names: list[str] | None = None
) -> dict[str, dict[str, Any]]:
    """A sample and what the chip makes of it, as real numbers.

    Args:
        graph: Quantized.
        running_device: Of no effect.
        inputs: The sample.
        output_names: Which values; the outputs by default.

    Returns:
        ``{"inputs": {name: tensor}, "outputs": {name: tensor}}``.
    """
    from tinsmith.compat.esp_ppq.core.tensors import tensor
    from tinsmith.compat.esp_ppq.executor.torch import TorchExecutor

    executor = TorchExecutor(graph)
    names = list(graph.outputs) if output_names is None else list(output_names)
    outputs = executor.forward(inputs, names)
    given = {name: tensor(array) for name, array in executor.prepare_input(inputs).items()}
    return {"inputs": given, "outputs": dict(zip(names, outputs, strict=True))}


def espdl_quantize_onnx(
    onnx_import_file: str,
    espdl_export_file: str,
    calib_dataloader: Any,
    calib_steps: int,
    input_shape: Any,
    inputs: Any = None,
    target: str = "esp32p4",
    num_of_bits: int = 8,
    collate_fn: Callable[[Any], Any] | None = None,
    dispatching_override: Mapping[str, TargetPlatform] | None = None,
    dispatching_method: str = "allin",
    setting: QuantizationSetting | None = None,
    device: str = "cpu",
    error_report: bool = True,
    skip_export: bool = False,
    export_config: bool = True,
    export_test_values: bool = False,
    test_output_names: list[str] | None = None,
    auto_streaming: bool = False,
    streaming_table: Any = None,
    streaming_input_shape: Any = None,
    streaming_custom_passes: Any = None,
    verbose: int = 0,
    quant_type: str | None = None,
    debug: bool = False,
    **kwargs: Any,
) -> BaseGraph:
    """Quantize an ONNX file and write `.espdl`, `.info` and `.json`.

    Args:
        onnx_import_file: The float model; never modified.
        espdl_export_file: Where the file goes; folders are made as needed.
        calib_dataloader: Batches of samples: a torch DataLoader, a list, anything that can be iterated over.
        calib_steps: How many batches to use.
        input_shape: Of the input, batch 1, or one shape for each input.
        inputs: A sample of each input: the test values of `export_test_values`.
        target: The chip.
        num_of_bits: 8 or 16.
        collate_fn: Applied to each batch.
        dispatching_override: Platforms by operator name.
        dispatching_method: Of no effect.
        setting: What becomes of it is in `tinsmith.compat.esp_ppq.mapping`.
        device: Of no effect: the processor calibrates and simulates.
        error_report: Print the error at each layer's output, and that at the outputs with only one layer quantized.
        skip_export: Write nothing.
        export_config: Write `.info` and `.json`, too.
        export_test_values: Embed a sample and its exact outputs, for `Model::test()` on the board.
        test_output_names: The values to embed; by default the outputs.
        auto_streaming: Refused, as the other streaming options.
        streaming_table: Likewise.
        streaming_input_shape: Likewise.
        streaming_custom_passes: Likewise.
        verbose: 1: print what became of each layer.
        quant_type: ``w8a8`` or ``w16a16``, in place of `num_of_bits`.
        debug: Of no effect: everything is simulated exactly.
        **kwargs: ``metadata_props``, ``model_version``, ``encrypt_data``; ``hi_precision`` and ``int16_lut_step`` are
            of no effect.

    Returns:
        The quantized graph, for `TorchExecutor` and the functions of `quantization.analyse`; `.quantized` is the
        result of `tinsmith.quantize`.

    Raises:
        ModelError: The model cannot be read, or cannot run on the chip.
        DataError: The data do not fit the model.
        RecipeError: An option is unknown, has a value that it cannot have, or names a layer that is not there.
    """
    streaming = (auto_streaming, streaming_table, streaming_input_shape, streaming_custom_passes)
    arguments = Arguments.checked(target, num_of_bits, quant_type, setting, streaming, kwargs)
    arguments.dispatched(dispatching_override, dispatching_method)
    return _quantized_and_written(
        onnx_import_file,
        espdl_export_file,
        arguments,
        calibration=(calib_dataloader, calib_steps, collate_fn),
        shapes=(input_shape, inputs),
        reports=(error_report, verbose),
        files=None if skip_export else (export_config, export_test_values, test_output_names),
    )


def _quantized_and_written(
    model: Any,
    path: str,
    arguments: Arguments,
    *,
    calibration: tuple[Any, int, Callable[[Any], Any] | None],
    shapes: tuple[Any, Any],
    reports: tuple[bool, int],
    files: tuple[bool, bool, list[str] | None] | None,
) -> BaseGraph:
    from tinsmith.compat.esp_ppq.api.run import quantized_graph
    from tinsmith.compat.esp_ppq.console import say
    from tinsmith.compat.esp_ppq.files import export
    from tinsmith.report.terminal import console, dispatch_grid, quantized_lines

    started = time.perf_counter()
    loader, steps, collate = calibration
    if isinstance(loader, Iterator) and type(steps) is int and steps > 0:
        loader = list(islice(loader, steps))  # the report walks over them again
    graph, notes = quantized_graph(model, arguments, loader, steps, collate, *shapes)
    quantized = graph.quantized
    assert quantized is not None
    written: list[Path] = []
    if files is not None:
        config, tests, names = files
        options = {name: value for name, value in arguments.extra.items() if name in OF_FILES}
        written = export(
            graph,
            path,
            export_config=config,
            test_inputs=shapes[1],
            test_values=tests,
            test_output_names=names,
            **options,
        )
    seconds = time.perf_counter() - started
    choices = quantized.recipe.model_dump(exclude_defaults=True, exclude={"target", "input_shapes"})
    described = "; ".join(f"{name} {value}" for name, value in choices.items()) or "the defaults"
    lines = quantized_lines(quantized.placement, quantized.program, quantized.target, written, seconds, described)
    say([*lines, *(f"note: {note}" for note in (*notes, *quantized.notes))])
    if reports[1]:
        console().print(dispatch_grid(quantized.table()))
    if reports[0]:
        _report(graph, loader, collate)
    return graph


def _report(graph: BaseGraph, loader: Any, collate_fn: Callable[[Any], Any] | None) -> None:
    """Print the tables of errors."""
    from tinsmith.compat.esp_ppq.quantization.analyse.graphwise import graphwise_error_analyse
    from tinsmith.compat.esp_ppq.quantization.analyse.layerwise import layerwise_error_analyse

    for analyse in (graphwise_error_analyse, layerwise_error_analyse):
        analyse(graph=graph, running_device="cpu", dataloader=loader, collate_fn=collate_fn)


def espdl_quantize_torch(
    model: Any,
    espdl_export_file: str,
    calib_dataloader: Any,
    calib_steps: int,
    input_shape: Any,
    inputs: Any = None,
    target: str = "esp32p4",
    num_of_bits: int = 8,
    collate_fn: Callable[[Any], Any] | None = None,
    dispatching_override: Mapping[str, TargetPlatform] | None = None,
    dispatching_method: str = "allin",
    setting: QuantizationSetting | None = None,
    device: str = "cpu",
    error_report: bool = True,
    skip_export: bool = False,
    export_config: bool = True,
    export_test_values: bool = False,
    test_output_names: list[str] | None = None,
    verbose: int = 0,
    opset_version: int = 18,
    auto_streaming: bool = False,
    streaming_table: Any = None,
    streaming_input_shape: Any = None,
    streaming_custom_passes: Any = None,
    quant_type: str | None = None,
    debug: bool = False,
    **kwargs: Any,
) -> BaseGraph:
    """Quantize a PyTorch module; writes ``<base>.onnx`` as well.

    Args:
        model: The module; left as it is.
        espdl_export_file: As for `espdl_quantize_onnx`, as are all others.
        calib_dataloader: Likewise.
        calib_steps: Likewise.
        input_shape: Likewise.
        inputs: Likewise; the module is traced with them where they are given, and with zeros otherwise.
        target: Likewise.
        num_of_bits: Likewise.
        collate_fn: Likewise.
        dispatching_override: Likewise; names are those in ``<base>.onnx``, or module paths (``features.1.conv``).
        dispatching_method: Likewise.
        setting: Likewise.
        device: Likewise.
        error_report: Likewise.
        skip_export: Likewise; ``<base>.onnx`` is written.
        export_config: Likewise.
        export_test_values: Likewise.
        test_output_names: Likewise.
        verbose: Likewise.
        opset_version: Of ``<base>.onnx``.
        auto_streaming: Likewise.
        streaming_table: Likewise.
        streaming_input_shape: Likewise.
        streaming_custom_passes: Likewise.
        quant_type: Likewise.
        debug: Likewise.
        **kwargs: Likewise.

    Returns:
        As `espdl_quantize_onnx`.

    Raises:
        MissingExtraError: torch or onnxscript is not installed.
        ModelError: The module cannot be exported, or as for `espdl_quantize_onnx`.
        DataError: As for `espdl_quantize_onnx`.
        RecipeError: Likewise.
    """
    from tinsmith.compat.esp_ppq.api.torch_export import export_module

    streaming = (auto_streaming, streaming_table, streaming_input_shape, streaming_custom_passes)
    arguments = Arguments.checked(target, num_of_bits, quant_type, setting, streaming, kwargs)
    arguments.dispatched(dispatching_override, dispatching_method)
    path = Path(espdl_export_file).with_suffix(".onnx")
    arguments.notes += export_module(model, path, input_shape, inputs, opset_version)
    return _quantized_and_written(
        path,
        espdl_export_file,
        arguments,
        calibration=(calib_dataloader, calib_steps, collate_fn),
        shapes=(input_shape, inputs),
        reports=(error_report, verbose),
        files=None if skip_export else (export_config, export_test_values, test_output_names),
    )
