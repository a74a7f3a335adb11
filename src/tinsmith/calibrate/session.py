"""ONNX Runtime with the wanted values of a float model within reach."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import onnx_ir as ir

from tinsmith.errors import DataError, ModelError
from tinsmith.graph.execute import DISABLED, quiet_run, reason
from tinsmith.quant.rounding import FloatArray

_FLOATS: Mapping[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}
_PROTOBUF_LIMIT = 1_900_000_000

Sample = Mapping[str, Any]


class Probe:
    """A session that delivers intermediate values; a context manager, since large models go through a temporary file.

    Args:
        model: Float model with batch 1. It is not modified.
        values: Names of node outputs and graph inputs.
        threads: Processor cores to use: one looks at results while the others run the model.

    Raises:
        ModelError: A value does not exist, is constant or not float, or ONNX Runtime refuses the model.
    """

    def __init__(self, model: ir.Model, values: Sequence[str], threads: int) -> None:
        inputs = {value.name or "": value for value in model.graph.inputs}
        self.inputs = list(inputs)
        self._given = [name for name in values if name in inputs]
        self._computed = [name for name in values if name not in inputs]
        for name in self._given:
            dtype = inputs[name].dtype
            if dtype is None or not dtype.is_floating_point():
                raise ModelError(f"holds {dtype}, not floats.", subject=f"input {name!r}")
        self._stack = ExitStack()
        exposed = _expose(model, self._computed)
        try:
            session = _start(exposed, max(threads - 1, 1), self._stack)
            outputs = {output.name: output for output in session.get_outputs()}
            wanted = [outputs[name] for name in self._computed]
            self._slots = [Slot(session, self._given, wanted) for _ in range(min(threads, 2))]
        except BaseException:
            self._stack.close()
            raise

    def run_all(self, samples: Iterable[Sample]) -> Generator[tuple[Sample, Slot]]:
        """Run the model on each sample; the next run is under way while the caller looks at one's results.

        Yields:
            The sample and the slot with its values, valid until the iterator advances.
        """
        if len(self._slots) == 1:
            for index, sample in enumerate(samples):
                self._slots[0].run(sample, index)
                yield sample, self._slots[0]
            return
        with ThreadPoolExecutor(max_workers=1) as worker:
            ahead: tuple[Sample, Slot, Future[None]] | None = None
            for index, sample in enumerate(samples):
                slot = self._slots[index % 2]
                ready, ahead = ahead, (sample, slot, worker.submit(slot.run, sample, index))
                if ready is not None:
                    yield _finished(*ready)
            if ahead is not None:
                yield _finished(*ahead)

    def __enter__(self) -> Probe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _finished(sample: Sample, slot: Slot, run: Future[None]) -> tuple[Sample, Slot]:
    run.result()
    return sample, slot


class Slot:
    """One run at a time, into buffers that are used again for the next one."""

    def __init__(self, session: Any, given: Sequence[str], outputs: Sequence[Any]) -> None:
        self._session = session
        self._given = given
        self._binding = session.io_binding()
        self._buffers: dict[str, FloatArray] = {}
        self._order = [output.name for output in outputs]
        self._free: list[str] = []
        for output in outputs:
            dtype = _FLOATS.get(output.type)
            if dtype is None:
                raise ModelError(f"holds {output.type}, not floats.", subject=f"value {output.name!r}")
            if all(isinstance(extent, int) for extent in output.shape):
                buffer = np.empty(output.shape, dtype)
                self._buffers[output.name] = buffer
                self._binding.bind_output(output.name, "cpu", 0, dtype, output.shape, buffer.ctypes.data)
            else:
                self._free.append(output.name)
                self._binding.bind_output(output.name)
        self.sample: Sample = {}

    def run(self, sample: Sample, index: int) -> None:
        """Compute all wanted values of one sample.

        Raises:
            DataError: ONNX Runtime cannot run the model on it.
        """
        self.sample = sample
        if not (self._buffers or self._free):
            return
        try:
            for name, array in sample.items():
                self._binding.bind_cpu_input(name, array)
            self._session.run_with_iobinding(self._binding, quiet_run())
        except Exception as error:  # ONNX Runtime's exceptions share no base but this one
            told = f"ONNX Runtime cannot run the model: {reason(error)}"
            raise DataError(told, subject=f"sample {index}") from error
        if self._free:
            results = dict(zip(self._order, self._binding.get_outputs(), strict=True))
            self._buffers.update({name: results[name].numpy() for name in self._free})

    def value(self, name: str) -> FloatArray:
        """A value of the last run, float32 and C-contiguous; valid until the next one."""
        array = self.sample[name] if name in self._given else self._buffers[name]
        return np.ascontiguousarray(array, dtype=np.float32)


def _expose(model: ir.Model, names: Iterable[str]) -> ir.Model:
    """A copy whose outputs are exactly the wanted values; the tensors are shared with the original."""
    clone = model.clone()
    produced = {output.name: output for node in clone.graph for output in node.outputs}
    wanted = []
    for name in names:
        if name not in produced:
            reason = "is a constant." if name in clone.graph.initializers else "is not a value of the model."
            raise ModelError(reason, subject=f"value {name!r}", hint="Only inputs and results of nodes are observed.")
        wanted.append(produced[name])
    clone.graph.outputs[:] = wanted or list(clone.graph.outputs)
    return clone


def _start(model: ir.Model, threads: int, stack: ExitStack) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(threads, 1)
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    tensors = [value.const_value for value in model.graph.initializers.values()]
    weights = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    source: bytes | str
    if weights < _PROTOBUF_LIMIT:
        source = ir.to_proto(model).SerializeToString()
    else:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinsmith-")))
        source = str(folder / "model.onnx")
        ir.save(model, source, external_data="weights.bin")
    try:
        return onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"], disabled_optimizers=DISABLED, enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base but this one
        raise ModelError(
            f"ONNX Runtime cannot load the model: {error}.", subject=model.graph.name or "model"
        ) from error
