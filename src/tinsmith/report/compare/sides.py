"""What can stand on either side: a program, a float model, dumped tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tinsmith.errors import DataError
from tinsmith.ops.layouts import Perm, channels_last, identity, inverse
from tinsmith.program import Array, DType, Program
from tinsmith.report.compare.held import Held, stands_for_reals
from tinsmith.report.floats import proto_of, session_of
from tinsmith.simulator.inputs import layouts_of
from tinsmith.simulator.run import Simulator
from tinsmith.targets import Target

if TYPE_CHECKING:
    import onnx

Sample = Mapping[str, Array]
Step = tuple[str, str, tuple[str, ...], tuple[str, ...]]
"""A node: its name, its operator, its computed inputs, its outputs."""


class Side(Protocol):
    """One of the two that are compared.

    Attributes:
        label: What messages call it.
        inputs: Shapes of what it is fed with, by name; empty where it holds results already.
        outputs: Names of its results; none where that is not known.
        steps: Its nodes in order of execution; none where only tensors are known.
    """

    label: str
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: Sequence[str]
    steps: Sequence[Step]

    def names(self) -> list[str]:
        """Its tensors, in the order in which they are computed."""

    def tensors(self, sample: Sample, index: int, wanted: Mapping[str, Held | None]) -> dict[str, Held]:
        """Tensors of one sample.

        Args:
            sample: Its inputs, by this side's names.
            index: Of the sample.
            wanted: Names of the tensors, with what the other side holds, where that is known.
        """


class ProgramSide:
    """A program in the exact simulator."""

    def __init__(self, program: Program, target: Target, label: str, perms: Mapping[str, Perm]) -> None:
        self.program, self.target, self.label = program, target, f"{label} (program, {target.name})"
        self._simulator = Simulator(program, target)
        known = layouts_of(program)
        self._perms = {**{name: original.perm for name, original in known.items()}, **perms}
        self.inputs: Mapping[str, tuple[int | None, ...]] = {
            value.name: known[value.name].shape if value.name in known else value.shape for value in program.inputs
        }
        self.outputs: Sequence[str] = tuple(value.name for value in program.outputs)
        self.steps: Sequence[Step] = [
            (node.name, node.op_type, tuple(n for n in node.inputs if n in program.values), node.outputs)
            for node in program.nodes
        ]

    def names(self) -> list[str]:
        """See `Side`."""
        return _names(self.inputs, self.steps)

    def tensors(self, sample: Sample, index: int, wanted: Mapping[str, Held | None]) -> dict[str, Held]:
        """See `Side`."""
        fed = {name: arranged(array, self.inputs[name]) for name, array in sample.items()}
        found = self._simulator.run_independent(fed, save_all=True)
        values = self.program.values
        return {
            name: Held(
                found[name],
                values[name].exponent if values[name].dtype.quantized else None,
                "file",
                self._perms.get(name),
            )
            for name in wanted
        }


class FloatSide:
    """A float model in ONNX Runtime."""

    def __init__(self, model: str | Path | onnx.ModelProto, label: str) -> None:
        self.label = f"{label} (float model)"
        self._model = model
        graph = proto_of(model).graph
        constants = {tensor.name for tensor in graph.initializer}
        fed = [value for value in graph.input if value.name not in constants]
        self.inputs: Mapping[str, tuple[int | None, ...]] = {
            value.name: tuple(
                dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim
            )
            for value in fed
        }
        self.outputs: Sequence[str] = tuple(value.name for value in graph.output)
        self.dtypes = {value.name: DType(value.type.tensor_type.elem_type).numpy for value in fed}
        made: set[str] = set(self.inputs)
        steps: list[Step] = []
        for node in graph.node:
            read = tuple(name for name in node.input if name in made)
            if read:  # what is computed from constants alone is one
                made.update(node.output)
                steps.append((node.name, node.op_type, read, tuple(name for name in node.output if name)))
        self.steps: Sequence[Step] = steps
        self._sessions: dict[tuple[str, ...], Any] = {}

    def names(self) -> list[str]:
        """See `Side`."""
        return _names(self.inputs, self.steps)

    def tensors(self, sample: Sample, index: int, wanted: Mapping[str, Held | None]) -> dict[str, Held]:
        """See `Side`.

        Raises:
            DataError: ONNX Runtime cannot run the model on the sample.
        """
        feeds = {
            name: np.asarray(arranged(array, self.inputs[name]), self.dtypes[name]) for name, array in sample.items()
        }
        names = tuple(name for name in wanted if name not in feeds)
        if names not in self._sessions:
            self._sessions[names] = session_of(self._model, names, self.label)
        try:
            arrays = self._sessions[names].run(list(names), feeds) if names else []
        except Exception as error:  # ONNX Runtime's exceptions share no base but this one
            raise DataError(f"ONNX Runtime cannot run it: {error}", subject=self.label) from error
        found = {**feeds, **dict(zip(names, arrays, strict=True))}
        return {name: Held(np.asarray(found[name]), None, "onnx") for name in wanted}


class DumpSide:
    """Tensors that somebody has written."""

    def __init__(self, held: Mapping[str, Held], label: str) -> None:
        self.label = f"{label} (dump, {len(held)} tensors)"
        self.held = held
        self.inputs: Mapping[str, tuple[int | None, ...]] = {}
        self.outputs: Sequence[str] = ()
        self.steps: Sequence[Step] = ()

    def names(self) -> list[str]:
        """See `Side`."""
        return list(self.held)

    def count(self, others: Mapping[str, Held]) -> int:
        """How many samples it holds, given what one sample of the other side is, by this side's names."""
        for name, other in others.items():
            mine = self.held[name].data
            if other.data.size and mine.size % other.data.size == 0:
                return mine.size // other.data.size
        return 1

    def tensors(self, sample: Sample, index: int, wanted: Mapping[str, Held | None]) -> dict[str, Held]:
        """See `Side`: a sample of several that stand one after the other along the first axis."""
        found = {}
        for name, other in wanted.items():
            mine = self.held[name]
            count = 1 if other is None or not other.data.size else mine.data.size // other.data.size
            if count > 1 and mine.data.ndim and mine.data.shape[0] % count == 0:
                mine = replace(mine, data=np.split(mine.data, count)[index])
            found[name] = mine
        return found


def arranged(array: Array, shape: Sequence[int | None]) -> Array:
    """An input in the order of axes that a side takes, where the shape tells it."""
    rank = len(shape)
    if array.ndim == rank:
        for perm in (identity(rank), channels_last(rank), inverse(channels_last(rank))):
            turned = array.transpose(perm)
            if all(wanted in (None, had) for wanted, had in zip(shape, turned.shape, strict=True)):
                return turned
    return array


def resolved(first: Held, second: Held, name: str) -> tuple[Held, Held]:
    """Both, with what one leaves open told by the other: an exponent, or that real numbers are integers of a format.

    Raises:
        DataError: Integers without an exponent meet real numbers.
    """
    ours, theirs = _filled(first, second), _filled(second, first)
    for one, other in ((ours, theirs), (theirs, ours)):
        if one.exponent is None and stands_for_reals(one.data.dtype) and other.data.dtype.kind == "f":
            hint = "Give a folder with tensors.json or a log, where exponents stand."
            raise DataError("integers without an exponent, beside real numbers.", subject=f"tensor {name!r}", hint=hint)
    return ours, theirs


def _filled(mine: Held, other: Held) -> Held:
    if other.exponent is None or mine.exponent is not None or other.data.dtype.kind != "i":
        return mine
    if stands_for_reals(mine.data.dtype) or (mine.order == "" and mine.data.dtype.kind in "iu"):
        return replace(mine, exponent=other.exponent)
    if mine.order or mine.data.dtype.kind != "f":
        return mine
    steps = np.ldexp(mine.data.astype(np.float64), -other.exponent)
    limits = np.iinfo(other.data.dtype)
    with np.errstate(invalid="ignore"):
        whole = (steps == np.rint(steps)) & (steps >= limits.min) & (steps <= limits.max)
    return replace(mine, data=steps.astype(other.data.dtype), exponent=other.exponent) if whole.all() else mine


def _names(inputs: Mapping[str, object], steps: Sequence[Step]) -> list[str]:
    return [*inputs, *(name for _, _, _, outputs in steps for name in outputs if name)]
