"""What operators that move data have in common: reading axes and index inputs, following a layout, shared rules."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tinsmith.errors import ProgramError
from tinsmith.ops.call import Call
from tinsmith.ops.emit import Emit, Layout, NotExpressible
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.lowering import PLAIN, Lowering
from tinsmith.targets import Target

LARGEST_RESULT = 1 << 28
"""Elements of a tensor that no chip can hold by far; a file that asks for more is broken or hostile."""


def refuse(call: Call, reason: str, hint: str = "") -> ProgramError:
    """The error that says why this node cannot be computed."""
    return ProgramError(reason, subject=call.node.subject, hint=hint)


def bounded(call: Call, count: int) -> None:
    """Make sure of a result's size before there is one.

    Raises:
        ProgramError: ``count`` elements fit no chip.
    """
    if count > LARGEST_RESULT:
        raise refuse(call, f"its result of {count} elements fits no chip.")


def axis_of(call: Call, axis: int, rank: int) -> int:
    """``axis``, counted from the front.

    Raises:
        ProgramError: There is no such axis.
    """
    if not -rank <= axis < rank:
        raise refuse(call, f"axis {axis} does not exist in a tensor of {rank} dimensions.")
    return axis % rank


def axes_of(call: Call, axes: Iterable[int], rank: int) -> tuple[int, ...]:
    """``axes``, counted from the front.

    Raises:
        ProgramError: One of them does not exist or is given twice.
    """
    found = tuple(axis_of(call, axis, rank) for axis in axes)
    if len(set(found)) != len(found):
        raise refuse(call, f"axes {list(found)} name a dimension twice.")
    return found


def integers(call: Call, index: int) -> tuple[int, ...] | None:
    """Input ``index`` as integers (shapes, axes, pads, indices…), None where it is absent.

    Raises:
        ProgramError: The input does not hold int64, the only type the runtime reads such inputs as.
    """
    found = call.optional(index)
    if found is None:
        return None
    if found.data.dtype != np.int64:
        raise refuse(call, f"input {index} holds {found.data.dtype}, and must hold int64.")
    return tuple(found.data.reshape(-1).tolist())


def same_format(call: Call) -> str | None:
    """Bytes move unchanged: input 0 and all outputs need one exponent and one width."""
    return formats_agree(call, 1)


def formats_agree(call: Call, count: int) -> str | None:
    """What is wrong where the first ``count`` inputs and the outputs differ in exponent or element type."""
    for index in range(count):
        source = call.arg(index)
        for result in call.outputs:
            if source.data.dtype != result.dtype.numpy:
                return (
                    f"input {index} is {source.data.dtype}, the output {result.dtype.name}, and bytes move unchanged."
                )
            if result.dtype.quantized and source.exponent != result.exponent:
                return (
                    f"input {index} has exponent {source.exponent}, the output {result.exponent}, and bytes move "
                    "unchanged."
                )
    return None


def axis_in(layout: Layout, axis: int, rank: int) -> int:
    """Where the file's ``axis`` (from the front) stands in ``layout``."""
    if layout == "file" or rank < 3:
        return axis
    return (0, rank - 1, *range(1, rank - 1)).index(axis)


def constant_inputs(emit: Emit, *indices: int) -> None:
    """Make sure that inputs which decide shapes are known.

    Raises:
        NotExpressible: One of them is computed at run time.
    """
    for index in indices:
        if emit.call.optional(index) is not None and not emit.is_const(index):
            raise NotExpressible(f"input {index} of {emit.call.node.op_type} is computed at run time")


def int64_input(call: Lowering, index: int, suffix: str, values: Iterable[int]) -> str:
    """Name of an int64 initializer holding ``values`` in place of the float node's input ``index``.

    It keeps the user's name where the values are the user's own.
    """
    data = np.asarray(tuple(values), dtype=np.int64)
    slot = call.inputs[index] if index < len(call.inputs) else None
    unchanged = slot is not None and slot.const is not None and np.array_equal(slot.const.reshape(-1), data)
    name = slot.name if slot is not None and unchanged else f"{call.node.name}_{suffix}"
    return call.sink.add_constant(name, data, (0,), PLAIN)


def known_inputs(node: FloatNode, target: Target, *indices: int) -> bool:
    """Whether the optional inputs ``indices`` are absent or constant."""
    return all(node.const(index) is not None for index in indices if node.has(index))
