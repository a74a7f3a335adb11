"""The files beside the path that a script gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinsmith.compat.esp_ppq.values import Values, array_of
from tinsmith.errors import ProgramError, RecipeError

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph
    from tinsmith.program import Program


def export(
    graph: BaseGraph,
    path: str | Path,
    *,
    config_path: str | Path | None = None,
    export_config: bool = True,
    test_inputs: Any = None,
    test_values: bool = False,
    test_output_names: list[str] | None = None,
    metadata_props: Mapping[str, str] | None = None,
    model_version: int = 0,
    encrypt_data: bool = False,
) -> list[Path]:
    """Write a quantized graph: ``path``, and ``.info`` and ``.json`` beside it; folders are made as needed.

    Args:
        graph: From `espdl_quantize_onnx` and its like.
        path: Of the `.espdl` file.
        config_path: Of the `.json` file; beside the other by default.
        export_config: Whether to write `.info` and `.json`.
        test_inputs: The sample to embed; by default the first one of the calibration data.
        test_values: Whether to embed a sample and its exact outputs.
        test_output_names: The values to embed; by default the outputs.
        metadata_props: For the file's metadata.
        model_version: For the file.
        encrypt_data: Encrypt the file under a fresh key, which goes to ``<base>.key``.

    Returns:
        The paths.

    Raises:
        ProgramError: The graph is not quantized.
        DataError: The sample does not fit, or there is no value of a name.
        RecipeError: An option has a value that it cannot have.
    """
    from tinsmith.espdl.encoder import encode
    from tinsmith.espdl.files import write_encrypted
    from tinsmith.espdl.info_text import info
    from tinsmith.files import write_all

    quantized = graph.quantized
    if quantized is None:
        raise ProgramError("is not quantized.", subject="graph", hint="Quantize it first: espdl_quantize_onnx.")
    program = _labelled(quantized.program, metadata_props, model_version)
    if test_values:
        program = _with_tests(graph, program, test_inputs, test_output_names)
    base = Path(path)
    contents: dict[Path, bytes] = {}
    if export_config:
        contents[base.with_suffix(".info")] = info(program).encode()
        contents[Path(config_path) if config_path else base.with_suffix(".json")] = quantized.formats_text().encode()
    if not encrypt_data:
        write_all({base: encode(program), **contents})
        return [base, *contents]
    key = base.with_suffix(".key")
    write_encrypted(program, base, key)
    write_all(contents)
    return [base, *contents, key]


def _labelled(program: Program, metadata: Mapping[str, str] | None, version: int) -> Program:
    if metadata is not None and not all(isinstance(text, str) for pair in metadata.items() for text in pair):
        raise RecipeError("takes text by name only.", subject="metadata_props")
    taken = [name for name in metadata or {} if name in program.metadata]
    if taken:
        raise RecipeError(f"{taken[0]!r} is written by tinsmith itself.", subject="metadata_props", hint="Rename it.")
    if isinstance(version, bool) or not isinstance(version, int):
        raise RecipeError(f"is {version!r}, not a number.", subject="model_version")
    return replace(program, metadata={**program.metadata, **(metadata or {})}, model_version=version)


def _with_tests(graph: BaseGraph, program: Program, inputs: Any, names: list[str] | None) -> Program:
    """The program with a sample and what the chip makes of it, in integers and in the file's layout."""
    from tinsmith.compat.esp_ppq.samples import feeds
    from tinsmith.simulator.inputs import samples
    from tinsmith.simulator.run import simulate

    quantized = graph.quantized
    assert quantized is not None
    given = quantized.sample if inputs is None else feeds(inputs, list(graph.inputs))
    given = {name: array_of(program, name, array) for name, array in given.items()}
    sample = samples(program, given, quantized.target)[0]
    found = simulate(program, sample, quantized.target, save_all=names is not None)
    wanted = [value.name for value in program.outputs]
    if names is not None:
        values = Values.of(graph)
        wanted = [values.home(name).root for name in names]
    return program.with_tests(sample, {name: found[name] for name in wanted})
