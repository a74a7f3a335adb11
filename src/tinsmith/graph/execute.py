"""Running a float `ir.Model` with ONNX Runtime.

Weights are handed over where they lie in memory (or in a mapped file): nothing above a kilobyte is serialized, so
models beyond protobuf's 2 GiB run too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from tinsmith.errors import ModelError
from tinsmith.graph.prepare import name_nodes

Array = NDArray[Any]
_EMBED_BYTES = 1024
# The first moves a Pad as wide as the window into a pool, and then rejects the pool for that. The second puts a
# Transpose into the Gemm before it even if the Gemm's own result is wanted as well, and then misses that. The third
# puts a Transpose into a MatMul by a vector, which then multiplies as if there were none.
DISABLED = ["Pad_Fusion", "GemmTransposeFusion", "MatmulTransposeFusion"]
"""Optimizations of ONNX Runtime that are wrong."""


class Runner:
    """A float model, ready to run.

    Args:
        model: Any model ONNX Runtime can run; not modified.
        outputs: Names of the values to compute, any of the graph's; its own outputs where empty.
        threads: Threads within an operator; 0 leaves the choice to ONNX Runtime.

    Raises:
        ModelError: ONNX Runtime rejects the model; the reason is its own.
    """

    def __init__(self, model: ir.Model, outputs: Sequence[str] = (), *, threads: int = 0) -> None:
        import onnxruntime as ort

        proto, weights = _detached(model, outputs)
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        # ONNX Runtime reads these arrays where they are: they must live as long as the session.
        self._weights = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in weights.items()}
        if self._weights:
            options.add_external_initializers(list(self._weights), list(self._weights.values()))
        try:
            self.session: Any = ort.InferenceSession(
                proto.SerializeToString(),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=DISABLED,
                enable_fallback=0,  # it prints, and tries the same again
            )
        except Exception as error:  # ONNX Runtime raises classes of its own, several per cause
            subject = model.graph.name or ""
            raise ModelError(f"ONNX Runtime cannot load the model: {reason(error)}", subject=subject) from error
        self.inputs: tuple[str, ...] = tuple(value.name for value in self.session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(value.name for value in self.session.get_outputs())

    def __call__(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the model once.

        Args:
            feeds: An array per input, of the model's shapes and types.

        Returns:
            An array per output.

        Raises:
            ModelError: The run failed; the reason is ONNX Runtime's.
        """
        try:
            results = self.session.run(list(self.outputs), dict(feeds), quiet_run())
        except Exception as error:
            raise ModelError(f"ONNX Runtime cannot run the model: {reason(error)}") from error
        return dict(zip(self.outputs, results, strict=True))


def quiet_run() -> Any:
    """Options of a run that logs nothing: those of the session do not count for runs."""
    import onnxruntime as ort

    options = ort.RunOptions()
    options.log_severity_level = 4
    return options


def reason(error: Exception) -> str:
    """The sentence that matters in a message of ONNX or ONNX Runtime."""
    text = str(error).replace("[ONNXRuntimeError] : ", "").strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:400].rstrip(".") + "."


def _detached(model: ir.Model, outputs: Sequence[str]) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """The model without its large weights, which the proto refers to by name, and those weights."""
    model = model.clone()
    graph = model.graph
    name_nodes(graph)  # repeated names are legal in ONNX, but not here
    tensors = {name: value.const_value for name, value in graph.initializers.items() if value.const_value is not None}
    for name in tensors:
        graph.initializers.pop(name)
    if outputs:
        named = ir.convenience.create_value_mapping(graph)
        graph.outputs.clear()
        graph.outputs.extend(named[name] for name in outputs)
    proto: onnx.ModelProto = ir.to_proto(model)
    weights: dict[str, Array] = {}
    for name, tensor in tensors.items():
        if tensor.nbytes <= _EMBED_BYTES or tensor.dtype == ir.DataType.STRING or not _native(tensor):
            proto.graph.initializer.append(_embedded(tensor, name))
            continue
        weights[name] = np.ascontiguousarray(tensor.numpy())
        proto.graph.initializer.append(_reference(tensor, name))
    return proto, weights


def _native(tensor: ir.TensorProtocol) -> bool:
    return tensor.dtype in (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.INT64)


def _embedded(tensor: ir.TensorProtocol, name: str) -> onnx.TensorProto:
    proto: onnx.TensorProto = ir.serde.serialize_tensor(ir.Tensor(tensor.numpy(), dtype=tensor.dtype, name=name))
    return proto


def _reference(tensor: ir.TensorProtocol, name: str) -> onnx.TensorProto:
    proto = onnx.TensorProto(
        name=name,
        dims=[int(dim) for dim in tensor.shape],  # type: ignore[arg-type]
        data_type=int(tensor.dtype),
        data_location=onnx.TensorProto.EXTERNAL,
    )
    for key, text in (("location", "memory"), ("offset", "0"), ("length", str(tensor.nbytes))):
        proto.external_data.add(key=key, value=text)
    return proto
