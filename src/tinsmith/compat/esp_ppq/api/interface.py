"""Loading, dispatching, quantizing and exporting step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.compat.esp_ppq.api.contexts import DEQUANTIZE_GRAPH as DEQUANTIZE_GRAPH
from tinsmith.compat.esp_ppq.api.contexts import DISABLE_CUDA_KERNEL as DISABLE_CUDA_KERNEL
from tinsmith.compat.esp_ppq.api.contexts import ENABLE_CUDA_KERNEL as ENABLE_CUDA_KERNEL
from tinsmith.compat.esp_ppq.core.quant import NetworkFramework, TargetPlatform
from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph
from tinsmith.errors import FormatError, ProgramError, RecipeError

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.api.setting import DispatchingTable, QuantizationSetting


def load_onnx_graph(onnx_import_file: str | Path) -> BaseGraph:
    """The graph of an ONNX file, in float.

    Raises:
        ModelError: The file cannot be read.
    """
    from tinsmith import importers
    from tinsmith.compat.esp_ppq.IR.build import of_model

    return of_model(importers.load(onnx_import_file))


def load_native_graph(import_file: str | Path) -> BaseGraph:
    """The program in an `.espdl` file, which executors run as the chip would.

    Raises:
        FormatError: It is no `.espdl` file; esp-ppq's own graph files run code when they are loaded, and are not read.
        RecipeError: The file does not say for which chip it is.
    """
    import tinsmith
    from tinsmith.compat.esp_ppq.IR.build import of_program
    from tinsmith.simulator.run import target_of

    with Path(import_file).open("rb") as file:
        if file.read(1) == b"\x80":
            reason = "is a pickle, which runs code when it is loaded."
            raise FormatError(
                reason, subject=str(import_file), hint="Load the .espdl file, or quantize the model again."
            )
    program = tinsmith.read(import_file)
    return of_program(program, target_of(program, None))


def load_graph(
    file_path: str | Path, from_framework: NetworkFramework = NetworkFramework.ONNX, **kwargs: Any
) -> BaseGraph:
    """The graph of an ONNX file, or with `NetworkFramework.NATIVE` the program of an `.espdl` file.

    Raises:
        RecipeError: It is another framework.
    """
    if from_framework is NetworkFramework.NATIVE:
        return load_native_graph(file_path)
    if from_framework is not NetworkFramework.ONNX:
        raise RecipeError(f"{from_framework.name} is not read.", subject="from_framework", hint="Export to ONNX first.")
    return load_onnx_graph(file_path)


def load_torch_model(
    model: Any,
    onnx_file_name: str = "MyModel.onnx",
    sample: Any = None,
    device: str = "cpu",
    verbose: bool = False,
    opset: int = 18,
    **kwargs: Any,
) -> BaseGraph:
    """The graph of a PyTorch module, which is written as an ONNX file on the way."""
    dump_torch_to_onnx(model, onnx_file_name, None, inputs=sample, device=device, opset=opset)
    return load_onnx_graph(onnx_file_name)


def dump_torch_to_onnx(
    model: Any,
    onnx_export_file: str | Path,
    input_shape: Any,
    input_dtype: Any = None,
    inputs: Any = None,
    device: str = "cpu",
    opset: int = 18,
) -> None:
    """Write a PyTorch module as an ONNX file."""
    from tinsmith.compat.esp_ppq.api.torch_export import export_module
    from tinsmith.compat.esp_ppq.console import say

    notes = export_module(model, Path(onnx_export_file), input_shape, inputs, opset)
    say(f"note: {note}" for note in notes)


def format_graph(graph: BaseGraph) -> BaseGraph:
    """The graph as it is: quantizing brings it into form."""
    return graph


def dispatch_graph(
    graph: BaseGraph,
    platform: TargetPlatform,
    dispatcher: Any = "conservative",
    dispatching_table: DispatchingTable | None = None,
) -> BaseGraph:
    """Note in a float graph where each operator is to run; `quantize_native_model` heeds it.

    Args:
        graph: Changed in place.
        platform: Of all that the table does not name.
        dispatcher: Of no effect.
        dispatching_table: Platforms by operator name.

    Raises:
        RecipeError: The table names an operator that is not there, or a platform that cannot be had.
    """
    from tinsmith.compat.esp_ppq.layer_names import LayerNames
    from tinsmith.compat.esp_ppq.mapping import Mapped
    from tinsmith.compat.esp_ppq.mapping import dispatcher as check
    from tinsmith.compat.esp_ppq.platforms import bits_of, known

    if isinstance(dispatcher, str):
        check(dispatcher, Mapped())
    table = {} if dispatching_table is None else dispatching_table.dispatchings
    names = LayerNames(tuple(graph.operations))
    for name, number in table.items():
        bits_of(number, f"dispatching of {name!r}")
        names.pattern(name, f"dispatching of {name!r}")
    for name, operation in graph.operations.items():
        operation.platform = known(table[name]) if name in table else platform
    return graph


def quantize_onnx_model(
    onnx_import_file: Any,
    calib_dataloader: Any,
    calib_steps: int,
    input_shape: Any,
    platform: TargetPlatform,
    input_dtype: Any = None,
    inputs: Any = None,
    setting: QuantizationSetting | None = None,
    collate_fn: Callable[[Any], Any] | None = None,
    device: str = "cpu",
    verbose: int = 0,
    do_quantize: bool = True,
) -> BaseGraph:
    """Quantize an ONNX file without writing anything.

    Args:
        onnx_import_file: Its path; never modified.
        calib_dataloader: Batches of samples.
        calib_steps: How many of them.
        input_shape: Of the input, or of each; None where `inputs` are given.
        platform: From `get_target_platform`; stands for the family's usual chip, which differs from the others of the
            family in nothing that counts here.
        input_dtype: Of no effect: the model says it.
        inputs: A sample of each input.
        setting: See `tinsmith.compat.esp_ppq.mapping`.
        collate_fn: Applied to each batch.
        device: Of no effect.
        verbose: 1: print what became of each layer.
        do_quantize: False: only load it.

    Returns:
        The quantized graph; the float one if it is only loaded.

    Raises:
        ModelError: As for `espdl_quantize_onnx`, as are the others.
        DataError: Likewise.
        RecipeError: Likewise.
    """
    if not do_quantize:
        return load_onnx_graph(onnx_import_file)
    data = (calib_dataloader, calib_steps, collate_fn)
    return _quantized(onnx_import_file, platform, setting, data, (input_shape, inputs), {}, verbose)


def quantize_torch_model(
    model: Any,
    calib_dataloader: Any,
    calib_steps: int,
    input_shape: Any,
    platform: TargetPlatform,
    input_dtype: Any = None,
    setting: QuantizationSetting | None = None,
    collate_fn: Callable[[Any], Any] | None = None,
    inputs: Any = None,
    do_quantize: bool = True,
    onnx_export_file: str | Path = "onnx.model",
    device: str = "cpu",
    verbose: int = 0,
) -> BaseGraph:
    """As `quantize_onnx_model`, for a PyTorch module, which is written as an ONNX file on the way."""
    dump_torch_to_onnx(model, onnx_export_file, input_shape, inputs=inputs)
    return quantize_onnx_model(
        onnx_export_file,
        calib_dataloader,
        calib_steps,
        input_shape,
        platform,
        inputs=inputs,
        setting=setting,
        collate_fn=collate_fn,
        verbose=verbose,
        do_quantize=do_quantize,
    )


def quantize_native_model(
    model: BaseGraph,
    calib_dataloader: Any,
    calib_steps: int,
    input_shape: Any,
    platform: TargetPlatform,
    input_dtype: Any = None,
    inputs: Any = None,
    setting: QuantizationSetting | None = None,
    collate_fn: Callable[[Any], Any] | None = None,
    device: str = "cpu",
    verbose: int = 0,
    do_quantize: bool = True,
) -> BaseGraph:
    """As `quantize_onnx_model`, for a float graph in memory; operators run where `dispatch_graph` noted.

    Raises:
        ProgramError: The graph has no float model.
    """
    if model.model is None or model.quantized is not None:
        reason = "is quantized already." if model.program is not None else "has no float model."
        raise ProgramError(reason, subject="graph", hint="Load it with load_onnx_graph.")
    if not do_quantize:
        return model
    noted = {name: operation.platform for name, operation in model.operations.items()}
    platforms = {name: given for name, given in noted.items() if given not in (TargetPlatform.UNSPECIFIED, platform)}
    data = (calib_dataloader, calib_steps, collate_fn)
    return _quantized(model.model, platform, setting, data, (input_shape, inputs), platforms, verbose)


def _quantized(
    model: Any,
    platform: TargetPlatform,
    setting: QuantizationSetting | None,
    data: tuple[Any, int, Callable[[Any], Any] | None],
    shapes: tuple[Any, Any],
    platforms: Mapping[str, TargetPlatform],
    verbose: int,
) -> BaseGraph:
    from tinsmith.compat.esp_ppq.api.arguments import Arguments
    from tinsmith.compat.esp_ppq.api.run import quantized_graph
    from tinsmith.compat.esp_ppq.console import say
    from tinsmith.compat.esp_ppq.platforms import target_of
    from tinsmith.report.terminal import console, dispatch_grid

    target, bits = target_of(platform)
    arguments = Arguments(target, bits, setting, platforms=dict(platforms))
    graph, notes = quantized_graph(model, arguments, *data, *shapes)
    assert graph.quantized is not None
    say(f"note: {note}" for note in (*notes, *graph.quantized.notes))
    if verbose:
        console().print(dispatch_grid(graph.quantized.table()))
    return graph


def export_ppq_graph(
    graph: BaseGraph,
    platform: TargetPlatform,
    graph_save_to: str | Path,
    config_save_to: str | Path | None = None,
    copy_graph: bool = True,
    **kwargs: Any,
) -> None:
    """Write a quantized graph: `.espdl`, `.info` and `.json`; or an ONNX file.

    Args:
        graph: Quantized.
        platform: That of the graph; ONNXRUNTIME, ONNX or NATIVE for what `PFL.Exporter` writes for these.
        graph_save_to: Path of the `.espdl` file; the suffix is added where it lacks.
        config_save_to: Path of the `.json` file.
        copy_graph: Of no effect: exporting changes nothing.
        **kwargs: As for `espdl_quantize_onnx`.

    Raises:
        ProgramError: The graph is not quantized, or for another platform.
        RecipeError: An argument is unknown, or the platform none of ESP-DL's.
    """
    from tinsmith.compat.esp_ppq.api.arguments import KNOWN, extra_options
    from tinsmith.compat.esp_ppq.files import export as write
    from tinsmith.compat.esp_ppq.lib.common import exporters
    from tinsmith.compat.esp_ppq.platforms import known, target_of

    extra_options(kwargs, (*KNOWN, "export_config"), "export_ppq_graph")
    chosen = known(platform)
    if chosen in exporters():
        exporters()[chosen]().export(graph_save_to, graph, config_path=config_save_to)
        return
    family = target_of(chosen)[0].family
    if graph.target is not None and graph.target.family != family:
        reason = f"is quantized for {graph.target.name}, not for {chosen.name}."
        raise ProgramError(reason, subject="graph", hint="Quantize it for that platform.")
    options = {name: value for name, value in kwargs.items() if name not in ("hi_precision", "int16_lut_step")}
    path = Path(graph_save_to)
    named = path if path.suffix == ".espdl" else path.with_name(f"{path.name}.espdl")
    write(graph, named, config_path=config_save_to, **options)


def manop(
    graph: BaseGraph,
    list_of_passes: Any,
    calib_dataloader: Iterable[Any],
    executor: Any,
    collate_fn: Callable[[Any], Any] | None = None,
    **kwargs: Any,
) -> BaseGraph:
    """Apply passes of `quantization.optim` to a graph, one after the other."""
    passes = list_of_passes if isinstance(list_of_passes, Sequence) else [list_of_passes]
    for one in passes:
        one.apply(graph, dataloader=calib_dataloader, executor=executor, collate_fn=collate_fn, **kwargs)
    return graph
