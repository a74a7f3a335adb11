"""Look-up tables: unary functions of int8 (and, when compiled, int16) values (file format §7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tinsmith.errors import ProgramError
from tinsmith.ops.call import Arg, Array, Call
from tinsmith.ops.emit import INT32, Emit, Layout, NotExpressible
from tinsmith.ops.places import common_layout, placed_shape
from tinsmith.program import DType
from tinsmith.quant.rounding import qrange

Compute = Callable[[Call], Sequence[Array]]


def int8_table(call: Call) -> Array | None:
    """The node's table where the runtime looks results up in it: int8 nodes that have one.

    Raises:
        ProgramError: The table has not one int8 entry per int8 value.
    """
    if call.out.dtype is not DType.INT8 or call.arg(0).data.dtype != np.int8:
        return None
    table = call.table
    if table is not None and (table.size != 256 or table.dtype != np.int8):
        raise ProgramError(
            f"its table has {table.size} {table.dtype} entries, not 256 of int8.",
            subject=call.node.subject,
        )
    return table


def looked_up(call: Call, table: Array) -> Array:
    """``table[x + 128]``."""
    return table.reshape(-1)[call.arg(0).data.astype(np.int64) + 128]


def table_exponent_rule(call: Call) -> str | None:
    """A table is written in the output's exponent."""
    name = call.node.attributes.get("lut")
    if not isinstance(name, str) or name not in call.constants or int8_table(call) is None:
        return None
    found = call.constants[name].exponents
    if found == call.out.exponents:
        return None
    return f"its table has exponent {found}, its output {call.out.exponents}; write the table in the output's."


def emit_unary(compute: Compute) -> Callable[[Emit], None]:
    """The ``emit`` of a node whose output depends on one quantized input, element by element."""

    def emit(e: Emit) -> None:
        if not e.call.out.dtype.quantized or not DType.of(e.call.arg(0).data.dtype).quantized:
            raise NotExpressible("ONNX Runtime's float functions round differently")
        emit_by_table(e, compute)

    return emit


def emit_by_table(e: Emit, compute: Compute, index: int = 0) -> None:
    """Output 0 as a table of ``compute`` over every value that input ``index`` can have.

    Args:
        e: The node; unless it has a table, its other inputs must be constants with at most one element each.
        compute: The node's definition.
        index: The input that varies.
    """
    arg = e.call.arg(index)
    low, high = qrange(8 * arg.data.dtype.itemsize)
    for other, name in enumerate(e.call.node.inputs if int8_table(e.call) is None else ()):
        if other != index and name and not (e.is_const(other) and e.call.arg(other).data.size <= 1):
            raise NotExpressible("its result depends on more than one value")
    inputs = list(e.call.inputs)
    inputs[index] = Arg(np.arange(low, high + 1).astype(arg.data.dtype), arg.exponents)
    table = compute(replace(e.call, inputs=tuple(inputs)))[0].reshape(-1)
    layout = common_layout(e, (index,))
    e.give(_apply(e, e.x(index, layout), table, index, layout), layout=layout, rank=arg.data.ndim)


def _apply(e: Emit, x: str, table: Array, index: int, layout: Layout) -> str:
    """``table[x - low]``, as arithmetic where the table is a rescaling between two bounds."""
    bounds = int(table.min()), int(table.max())
    clip = e.constant(bounds[0], np.float32), e.constant(bounds[1], np.float32)
    for shift in dict.fromkeys((0, e.call.out.exponent - e.call.arg(index).exponent)):
        if not _rescales(e.call, table, bounds, shift):
            continue
        if shift == 0:
            return str(e.op("Clip", x, *clip))
        return str(e.op("Clip", e.rounded(e.op("Mul", x, e.scalar(2.0**-shift))), *clip))
    return gathered(e, x, table, placed_shape(e, index, layout))


def _rescales(call: Call, table: Array, bounds: tuple[int, int], shift: int) -> bool:
    """Whether the table is ``clip(R(x / 2**shift), *bounds)``."""
    if abs(shift) > 16:
        return False
    inputs = np.arange(table.size) - table.size // 2
    return bool(np.array_equal(np.clip(call.target.rounding.rshift(inputs, shift), *bounds), table))


def gathered(e: Emit, x: str, table: Array, shape: tuple[int, ...]) -> str:
    """``table[x - low]`` of a carrier of that shape, as a carrier.

    Negative indices count from the end, so the table is rotated instead of the index shifted. GatherElements on flat
    tensors, because ONNX Runtime's Gather copies scalars one by one, six times as slow.
    """
    rotated = e.constant(np.roll(table, table.size // 2).astype(np.float32))
    index = e.op("Reshape", e.op("Cast", x, to=INT32), e.constant([-1], np.int64))
    found = e.op("GatherElements", rotated, index, axis=0)
    back = [-1, *shape[1:]] if shape else []
    return str(e.op("Reshape", found, e.constant(back, np.int64)))
