"""Shapes of all values, inferred from the nodes: files of other exporters carry wrong ones (file format §3)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinsmith.ops import find
from tinsmith.ops.call import Array
from tinsmith.program import Program
from tinsmith.simulator.interpreter import call_of, compute
from tinsmith.targets import Target


def placeholder(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
    """Zeros of that shape that occupy no memory."""
    return np.broadcast_to(np.zeros((), dtype=dtype), shape)


def infer_shapes(
    program: Program, target: Target, inputs: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, tuple[int, ...]]:
    """The shape of every input and computed value in the file's layout.

    Args:
        program: The program.
        target: The chip.
        inputs: Shapes to assume for the inputs; by default the file's.

    Raises:
        ProgramError: A node cannot take the shapes that reach it.
    """
    given = dict(inputs or {})
    known: dict[str, Array] = {
        value.name: placeholder(given.get(value.name, value.shape), value.dtype.numpy) for value in program.inputs
    }
    for node in program.nodes:
        call = call_of(program, node, known, target)
        operator = find(node.op_type, node.name)
        if operator.shape is not None:
            shapes = list(operator.shape(call))
        else:
            shapes = [result.shape for result in compute(operator, call)]
        for value, shape in zip(call.outputs, shapes, strict=True):
            known[value.name] = placeholder(tuple(shape), value.dtype.numpy)
    return {name: array.shape for name, array in known.items()}
