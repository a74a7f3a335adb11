"""Where the values of a graph live in the program, and how they come out as real numbers in ONNX order."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.errors import DataError, ProgramError
from tinsmith.ops.layouts import identity, inverse
from tinsmith.program import Program

if TYPE_CHECKING:
    from tinsmith.compat.esp_ppq.IR.base.graph import BaseGraph

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A value of the graph in the program.

    Attributes:
        root: The program's name for it.
        perm: ``file_shape[i] = shape[perm[i]]``.
        shape: Of one sample, in ONNX order.
    """

    root: str
    perm: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Values:
    """All values of a graph that the chip stores.

    Attributes:
        program: What the chip gets.
        places: By name in the graph.
        inner: Values that are never stored, since the operator behind is computed in the same step: by name, that
            operator's output.
    """

    program: Program
    places: Mapping[str, Place]
    inner: Mapping[str, str]

    @classmethod
    def of(cls, graph: BaseGraph) -> Values:
        """The values of a quantized graph or a program."""
        if graph.quantized is not None:
            return _of_quantized(graph)
        if graph.program is None:
            raise ProgramError("is not quantized.", subject="graph")
        return _of_program(graph.program)

    def home(self, name: str) -> Place:
        """Where a value lives.

        Raises:
            DataError: There is no such value, or it is never stored.
        """
        if name in self.places:
            return self.places[name]
        subject = f"output {name!r}"
        if name in self.inner:
            reason = "the chip never stores this value: the activation behind it is computed in the same step."
            raise DataError(reason, subject=subject, hint=f"Ask for {self.inner[name]!r}.")
        close = difflib.get_close_matches(name, self.places, n=3)
        hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise DataError("the quantized graph has no such value.", subject=subject, hint=hint)

    def real(self, name: str, array: Array, count: int) -> Array:
        """A value as real numbers in ONNX order.

        Args:
            name: In the graph.
            array: As `tinsmith.simulate` gives it, of ``count`` samples.
            count: How many samples.

        Returns:
            Integers times their scale, float32; the samples along the first axis.
        """
        place = self.home(name)
        value = self.program.values[place.root]
        real: Array = np.ldexp(array.astype(np.float32), value.exponent) if value.dtype.quantized else array
        laid_out = real.reshape(count, *(place.shape[axis] for axis in place.perm))
        turned: Array = laid_out.transpose(0, *(1 + axis for axis in inverse(place.perm)))
        shape = place.shape if count == 1 or not place.shape else (count * place.shape[0], *place.shape[1:])
        return turned.reshape(shape) if count == 1 or place.shape else turned


def _of_quantized(graph: BaseGraph) -> Values:
    from tinsmith.lower import lower
    from tinsmith.ops.steps import steps

    quantized = graph.quantized
    assert quantized is not None
    network = quantized.network
    bits = quantized.widths
    homes = lower(network, quantized.formats, bits, quantized.target).homes
    operands = [*network.inputs, *(output for node in network.nodes for output in node.outputs)]
    shapes = {operand.name: operand.shape for operand in operands}
    inner = {
        step.node.outputs[0].name: step.fused.outputs[0].name
        for step in steps(network, quantized.formats)
        if step.fused is not None
    }
    places = {name: Place(home.root, tuple(home.perm), shapes[name]) for name, home in homes.items()}
    return Values(quantized.program, places, inner)


def _of_program(program: Program) -> Values:
    from tinsmith.simulator.inputs import layouts_of

    originals = layouts_of(program)
    places = {name: Place(name, identity(len(value.shape)), value.shape) for name, value in program.values.items()}
    places |= {name: Place(name, one.perm, one.shape) for name, one in originals.items() if name in program.values}
    return Values(program, places, {})


def array_of(program: Program, name: str, array: Array) -> Array:
    """An input as the simulator takes it: numbers for an input in integers are real numbers, whatever their type."""
    found = {value.name: value for value in program.inputs}.get(name)
    if found is not None and found.dtype.quantized and array.dtype.kind != "f":
        return array.astype(np.float32)
    return array
