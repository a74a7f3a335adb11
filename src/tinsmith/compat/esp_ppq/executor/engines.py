"""What runs a graph: the exact simulator, or ONNX Runtime for a float one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import onnx_ir as ir

from tinsmith.compat.esp_ppq.IR.base.graph import Array, BaseGraph
from tinsmith.compat.esp_ppq.values import Values, array_of
from tinsmith.errors import DataError, ProgramError
from tinsmith.graph.execute import Runner
from tinsmith.simulator.run import Simulator


class Engine(Protocol):
    """Runs one graph."""

    def run(self, feeds: Mapping[str, Array], names: Sequence[str]) -> list[Array]:
        """Values by name, in ONNX order, the samples along the first axis."""
        ...


def engine_of(graph: BaseGraph) -> Engine:
    """The simulator for what is quantized, ONNX Runtime for what is float.

    Raises:
        ProgramError: The graph has neither a program nor a model.
    """
    if graph.program is not None and not graph.dequantized:
        return Chip(graph)
    if graph.model is not None:
        return Floats(graph.model)
    reason = "has nothing to run."
    raise ProgramError(reason, subject="graph", hint="Take one from load_onnx_graph or espdl_quantize_onnx.")


class Chip:
    """The exact simulator; it keeps the compiled form between runs."""

    def __init__(self, graph: BaseGraph) -> None:
        assert graph.program is not None
        self._program = graph.program
        self._simulator = Simulator(graph.program, graph.target)
        self._values = Values.of(graph)
        self._outputs = {value.name for value in graph.program.outputs}
        self._constants = {v.name: v.array for v in graph.variables.values() if v.array is not None}

    def run(self, feeds: Mapping[str, Array], names: Sequence[str]) -> list[Array]:
        """Values as the chip has them, integers times their scale."""
        given = {name: array_of(self._program, name, array) for name, array in feeds.items()}
        wanted = {name: self._values.home(name).root for name in names if name not in self._constants}
        everything = not self._outputs.issuperset(wanted.values())
        found = self._simulator.run_independent(given, save_all=everything)
        count = self._count(given)
        return [
            self._values.real(name, found[wanted[name]], count) if name in wanted else self._constants[name]
            for name in names
        ]

    def _count(self, feeds: Mapping[str, Array]) -> int:
        for value in self._program.inputs:
            size = int(np.prod(value.shape))
            if size:
                return int(feeds[value.name].size) // size
        return 1


class Floats:
    """ONNX Runtime; a batch that the model does not take as one runs sample by sample."""

    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._runners: dict[tuple[str, ...], Runner] = {}
        self._types = {value.name or "": value for value in model.graph.inputs}
        self._computed = [v.name or "" for node in model.graph for v in node.outputs if v.name]

    def run(self, feeds: Mapping[str, Array], names: Sequence[str]) -> list[Array]:
        """Values of the float model."""
        for name in names:
            if name not in self._computed and name not in self._types and name not in self._model.graph.initializers:
                close = difflib.get_close_matches(name, self._computed, n=3)
                hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else ""
                raise DataError("the graph has no such value.", subject=f"output {name!r}", hint=hint)
        computed = tuple(name for name in names if name in self._computed)
        if computed not in self._runners:
            self._runners[computed] = Runner(self._model, computed)
        runner = self._runners[computed]
        cast = {name: self._cast(name, array) for name, array in feeds.items()}
        results = [runner(part) for part in self._samples({n: a for n, a in cast.items() if n in runner.inputs})]
        found = {name: _joined([one[name] for one in results]) for name in computed}
        return [self._known(name, cast) if name not in found else found[name] for name in names]

    def _known(self, name: str, feeds: Mapping[str, Array]) -> Array:
        if name in feeds:
            return feeds[name]
        constant = self._model.graph.initializers[name].const_value
        assert constant is not None
        return constant.numpy()

    def _cast(self, name: str, array: Array) -> Array:
        dtype = self._types[name].dtype
        return np.ascontiguousarray(array if dtype is None else array.astype(dtype.numpy()))

    def _samples(self, feeds: Mapping[str, Array]) -> list[dict[str, Array]]:
        """The batch as it is where the model takes any, else its samples, where it takes one at a time."""
        rows = {len(array) for array in feeds.values() if array.ndim}
        single = all(self._takes_one(name, array) for name, array in feeds.items())
        if len(rows) != 1 or not single:
            return [dict(feeds)]
        return [{name: array[row : row + 1] for name, array in feeds.items()} for row in range(rows.pop())]

    def _takes_one(self, name: str, array: Any) -> bool:
        shape = self._types[name].shape
        return shape is not None and len(shape) == array.ndim > 0 and shape[0] == 1


def _joined(parts: Sequence[Array]) -> Array:
    """Samples one after the other; a single one as it is, which may have no axes."""
    return np.concatenate(parts) if len(parts) > 1 else parts[0]
