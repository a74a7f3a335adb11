"""The float model beside a program: the same inputs, the values that are the program's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.errors import DataError, ModelError
from tinsmith.ops.layouts import channels_last, identity
from tinsmith.program import Program
from tinsmith.simulator.inputs import LAYOUTS_KEY, Original, layouts_of, layouts_text

if TYPE_CHECKING:
    import onnx

Array = NDArray[Any]
Sample = Mapping[str, Array]


def as_onnx(model: Any, program: Program, example_input: Any = None) -> Any:
    """A float model as `FloatModel` takes it: what is not ONNX yet goes through its importer.

    Args:
        model: What `tinsmith.importers.load` takes.
        program: The program it became, which knows the shapes of the inputs.
        example_input: As for `tinsmith.quantize`.

    Raises:
        ModelError: The model cannot be read.
    """
    import onnx_ir as ir

    from tinsmith import importers
    from tinsmith.importers.hints import Hints

    if importers.format_of(model) == "onnx" and not isinstance(model, (ir.Model, bytes, bytearray, memoryview)):
        return model
    known = layouts_of(program)
    shapes = {value.name: known[value.name].shape if value.name in known else value.shape for value in program.inputs}
    return ir.to_proto(importers.load(model, Hints(example_input, shapes)))


class FloatModel:
    """A float model in ONNX Runtime, its inputs and outputs under the program's names.

    Names decide which input or output is which; where they differ, the order does. An output of the program that is
    inside the float model (the program was cut there) is found by its name.

    Args:
        model: A path to an ONNX file, or an `onnx.ModelProto`.
        program: The program it became.

    Raises:
        ModelError: The model cannot be read, or inputs and outputs do not correspond.
    """

    def __init__(self, model: str | Path | onnx.ModelProto, program: Program) -> None:
        self._subject = str(model) if isinstance(model, (str, Path)) else "float model"
        wanted = [value.name for value in program.outputs]
        self._session = session_of(model, (), self._subject)
        outputs = [output.name for output in self._session.get_outputs()]
        if not set(wanted) <= set(outputs) and set(wanted) <= _inner_values(model):
            self._session = session_of(model, wanted, self._subject)
            outputs = [output.name for output in self._session.get_outputs()]
        self._inputs = {value.name: value for value in self._session.get_inputs()}
        self._feeds = self._paired([value.name for value in program.inputs], list(self._inputs), "inputs")
        self._results = self._paired(wanted, outputs, "outputs")

    def _paired(self, mine: Sequence[str], theirs: Sequence[str], what: str) -> dict[str, str]:
        if set(mine) <= set(theirs):
            return {name: name for name in mine}
        if len(mine) == len(theirs):
            return dict(zip(mine, theirs, strict=True))
        raise ModelError(
            f"its {what} are {list(theirs)}, the program's {list(mine)}.",
            subject=self._subject,
            hint="Give the model the program was made from.",
        )

    def described(self, program: Program) -> Program:
        """The program; where its file records no layouts, those of its inputs as the float shapes tell."""
        return with_layouts(
            program, {value.name: self._inputs[self._feeds[value.name]].shape for value in program.inputs}
        )

    def run_all(self, samples: Sequence[Sample], pool: Executor) -> list[dict[str, Array]]:
        """The outputs of each sample, by the program's names.

        Raises:
            DataError: ONNX Runtime cannot run the model on a sample.
        """
        return list(pool.map(self._run, samples))

    def _run(self, sample: Sample) -> dict[str, Array]:
        names = list(self._results)
        feeds = {other: self._fitting(sample[name], other) for name, other in self._feeds.items()}
        try:
            arrays = self._session.run([self._results[name] for name in names], feeds)
        except Exception as error:  # ONNX Runtime's exceptions share no base but this one
            raise DataError(f"ONNX Runtime cannot run it: {error}", subject=self._subject) from error
        return dict(zip(names, arrays, strict=True))

    def _fitting(self, array: Array, name: str) -> Array:
        """A sample in the type the model takes."""
        dtype = {"tensor(float16)": np.float16, "tensor(double)": np.float64}.get(self._inputs[name].type)
        return array if dtype is None else array.astype(dtype)


def with_layouts(program: Program, shapes: Mapping[str, Sequence[Any]]) -> Program:
    """The program; where its file records no layouts, those of its inputs as the float model's shapes tell.

    Args:
        program: A program.
        shapes: Of inputs in the float model's order, by the program's names; what is no integer may be anything.
    """
    if layouts_of(program):
        return program
    found = {name: _original(value.shape, shapes[name]) for value in program.inputs if (name := value.name) in shapes}
    known = {name: original for name, original in found.items() if original is not None}
    return replace(program, metadata={**program.metadata, LAYOUTS_KEY: layouts_text(known)}) if known else program


def _original(file: tuple[int, ...], shape: Sequence[Any]) -> Original | None:
    """How an input of the file's shape is laid out in the float model, where the shapes tell; None where not."""
    rank = len(file)
    for perm in (channels_last(rank), identity(rank)):
        laid_out = tuple(file[perm.index(axis)] for axis in range(rank))
        if len(shape) == rank and all(a == b or not isinstance(b, int) for a, b in zip(laid_out, shape, strict=True)):
            return Original(laid_out, perm)
    return None


def session_of(model: str | Path | onnx.ModelProto, wanted: Sequence[str], subject: str) -> Any:
    """One thread each: samples run side by side. With ``wanted``, exactly these values are the outputs.

    Raises:
        ModelError: ONNX Runtime does not load it, or there is no such file.
    """
    import onnxruntime

    from tinsmith.graph.execute import DISABLED

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source: str | bytes
    if isinstance(model, (str, Path)) and not wanted:
        source = str(model)
        if not Path(model).is_file():
            raise ModelError("there is no such file.", subject=subject)
    else:
        if isinstance(model, (str, Path)):
            options.add_session_config_entry(
                "session.model_external_initializers_file_folder_path", str(Path(model).resolve().parent)
            )
        source = _cut(model, wanted).SerializeToString()
    try:
        return onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"], disabled_optimizers=DISABLED, enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base but this one
        raise ModelError(f"ONNX Runtime cannot load it: {error}", subject=subject) from error


def proto_of(model: str | Path | onnx.ModelProto) -> onnx.ModelProto:
    """The graph of a float model; large weights in files of their own are not read."""
    import onnx

    return onnx.load(model, load_external_data=False) if isinstance(model, (str, Path)) else model


def _inner_values(model: str | Path | onnx.ModelProto) -> set[str]:
    return {name for node in proto_of(model).graph.node for name in node.output if name}


def _cut(model: str | Path | onnx.ModelProto, wanted: Sequence[str]) -> onnx.ModelProto:
    """A copy with other outputs; the model itself where none are asked for."""
    import onnx

    proto = proto_of(model)
    if not wanted:
        return proto
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in wanted)
    return copy
