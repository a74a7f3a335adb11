"""Shapes of all values, inferred from the nodes: files of other exporters carry wrong ones (file format §3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.errors import ProgramError
from tinsmith.ops import find
from tinsmith.ops.call import Array, Call
from tinsmith.ops.execution import call_of, compute, told
from tinsmith.program import DType, Program, Value
from tinsmith.targets import Target

TYPES = frozenset({DType.INT8, DType.INT16, DType.FLOAT, DType.BOOL, DType.INT64})
"""What a tensor that is computed or fed may hold."""


def infer_shapes(program: Program, target: Target) -> dict[str, tuple[int, ...]]:
    """The shape of every input and computed value in the file's layout, inputs as the file says.

    Raises:
        ProgramError: A node cannot take the shapes that reach it; an input has no fixed shape; a value has a type the
            runtime does not have; an output is computed by no node.
    """
    return {name: zeros.shape for name, zeros in placeholders(program, target).items()}


def placeholders(program: Program, target: Target) -> dict[str, Array]:
    """Zeros of each value's inferred shape and type, which occupy no memory; memoized on the program.

    Raises:
        ProgramError: As `infer_shapes`.
    """
    key = ("placeholders", target)
    if key not in program.memo:
        program.memo[key] = _placeholders(program, target)
    found = program.memo[key]
    assert isinstance(found, dict)
    return found


def _placeholders(program: Program, target: Target) -> dict[str, Array]:
    known: dict[str, Array] = {}
    for value in program.inputs:
        listed = program.values.get(value.name)
        if listed is None or (listed.dtype, listed.exponents) != (value.dtype, value.exponents):
            raise ProgramError(
                "is missing among the program's values, or has another type there.", subject=f"input {value.name!r}"
            )
        if min(value.shape, default=0) < 0:
            raise ProgramError(
                f"has the shape {list(value.shape)}, which is not fixed.", subject=f"input {value.name!r}"
            )
        known[value.name] = _zeros(value, value.shape)
    for node in program.nodes:
        call = call_of(program, node, known, target)
        known.update(
            (value.name, _zeros(value, shape)) for value, shape in zip(call.outputs, _shapes(call), strict=True)
        )
    for value in program.outputs:
        if value.name not in known:
            raise ProgramError("is computed by no node.", subject=f"output {value.name!r}")
    return known


def _shapes(call: Call) -> Sequence[tuple[int, ...]]:
    operator = find(call.node.op_type, call.node.name)
    if operator.shape is None:
        return [result.shape for result in compute(operator, call)]
    with told(call.node):
        shapes = operator.shape(call)
    if len(shapes) != len(call.outputs):
        raise ProgramError(
            f"computes {len(shapes)} outputs, the file names {len(call.outputs)}.", subject=call.node.subject
        )
    for shape in shapes:
        if min(shape, default=0) < 0:
            raise ProgramError(f"computes the shape {list(shape)}, which is none.", subject=call.node.subject)
    return shapes


def _zeros(value: Value, shape: tuple[int, ...]) -> Array:
    if value.dtype not in TYPES:
        raise ProgramError(
            f"has type {value.dtype.name}, which the runtime does not compute.", subject=f"value {value.name!r}"
        )
    return np.broadcast_to(np.zeros((), dtype=value.dtype.numpy), shape)
