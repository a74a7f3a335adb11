"""From emitted steps to an ONNX model and a session that runs it.

Element types have the same numbers in files of ESP-DL and in ONNX.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinsmith.errors import ProgramError
from tinsmith.ops.call import Array
from tinsmith.ops.emit import FLOAT32, Builder
from tinsmith.program import DType, Value
from tinsmith.simulator.tidy import merged_clips
from tinsmith.simulator.weights import initializers, lend

if TYPE_CHECKING:
    import onnx
    import onnxruntime

OPSET = 20


@dataclass(frozen=True, slots=True)
class Session:
    """A session of ONNX Runtime, and the weights that it reads where they are."""

    runs: onnxruntime.InferenceSession
    weights: object


def carry_in(builder: Builder, value: Value, rank: int) -> str:
    """Declare program value ``value`` as a graph input in its own integer type; returns the graph input's name."""
    name = f"in|{value.name}"
    carrier = builder.op("Cast", name, to=FLOAT32) if value.dtype.quantized else name
    builder.place(value.name, carrier, "file", rank)
    return name


def carry_out(builder: Builder, value: Value) -> str:
    """A tensor of ``value``'s own type in the file's layout, to be a graph output."""
    tensor = builder.find(value.name, "file")
    if value.dtype.quantized:
        return str(builder.op("Cast", tensor, to=int(value.dtype)))
    return str(builder.op("Identity", tensor))


def to_model(
    builder: Builder,
    inputs: Sequence[tuple[str, DType, Sequence[int | str] | None]],
    outputs: Sequence[tuple[str, DType, Sequence[int | str] | None]],
    name: str = "program",
) -> onnx.ModelProto:
    """An ONNX model of everything emitted so far."""
    from onnx import numpy_helper

    weights = [numpy_helper.from_array(data, key) for key, data in builder.constants.items()]
    return _model(builder, inputs, outputs, weights, name)


def to_lean_model(
    builder: Builder,
    inputs: Sequence[tuple[str, DType, Sequence[int | str] | None]],
    outputs: Sequence[tuple[str, DType, Sequence[int | str] | None]],
) -> bytes:
    """The same without its large weights, as `session` takes it."""
    made: bytes = _model(builder, inputs, outputs, initializers(builder.constants), "program").SerializeToString()
    return made


def _model(
    builder: Builder,
    inputs: Sequence[tuple[str, DType, Sequence[int | str] | None]],
    outputs: Sequence[tuple[str, DType, Sequence[int | str] | None]],
    weights: Iterable[onnx.TensorProto],
    name: str,
) -> onnx.ModelProto:
    from onnx import helper

    nodes = [
        _node(step.op_type, step.inputs, step.outputs, step.attributes)
        for step in merged_clips(builder, [n for n, _, _ in outputs])
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(n, int(d), s) for n, d, s in inputs],
        [helper.make_tensor_value_info(n, int(d), s) for n, d, s in outputs],
        list(weights),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="tinsmith")
    model.ir_version = 9
    return model


def _node(op_type: str, inputs: tuple[str, ...], outputs: tuple[str, ...], attributes: Any) -> onnx.NodeProto:
    from onnx import helper, numpy_helper

    plain: dict[str, Any] = {
        key: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for key, value in attributes.items()
    }
    return helper.make_node(op_type, inputs, outputs, **plain)


@contextmanager
def refusals(subject: str, hint: str = "") -> Iterator[None]:
    """Errors of ONNX Runtime as ours.

    Raises:
        ProgramError: Something went wrong inside.
    """
    try:
        yield
    except Exception as error:  # ONNX Runtime's exceptions share no base but this one
        said = " ".join(str(error).split()).rstrip(".")
        raise ProgramError(
            f"ONNX Runtime does not run the compiled form: {said}.", subject=subject, hint=hint
        ) from error


def session(model: bytes, threads: int, weights: Mapping[str, Array] | None = None) -> Session:
    """An ONNX Runtime CPU session that does not reorder arithmetic across nodes and prints nothing.

    Args:
        model: The serialized graph.
        threads: Threads within an operator.
        weights: Where the graph's large weights are, if they are not in it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0" if threads == 1 else "1")
    lent = lend(options, weights or {})
    made = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    return Session(made, lent)
