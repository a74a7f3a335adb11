"""LUT, and Gelu, which the runtime has as a table only (arithmetic §4.1, file format §7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinsmith.errors import ProgramError, QuantizationError
from tinsmith.ops.base import INTEGER, Operator, free_ports
from tinsmith.ops.call import Array, Call
from tinsmith.ops.floatmath import Float64, erf
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import passive
from tinsmith.ops.lowering import Lowering, function_table, lower_unary, plain_attributes
from tinsmith.ops.tables import emit_unary, int8_table, looked_up, table_exponent_rule
from tinsmith.ops.unary import element_cost, same_shape, unary
from tinsmith.ops.work import in_float, table_or
from tinsmith.program import DType

INT16_STEP = 1
"""Distance of the inputs of an int16 table's entries.

The chip takes the nearest entry and does not interpolate, so only step 1 (65,536 entries, 128 KiB) keeps 16 bits: step
32 (2,049 entries, 4 KiB) is off by up to 16 times the slope in units of the last place, step 256 (257 entries) leaves 8
bits of the input. Step 1 is also what every version of ESP-DL reads alike.
"""


def lut(call: Call) -> Sequence[Array]:
    """int8: table[x + 128]. int16: step = 65536 / (len - 1), entry R((x + 32768) / step), no interpolation.

    Before ESP-DL 3.3.8, with i and r the quotient and the remainder of (x + 32768) / step: table[i] +
    r · (table[i + 1] - table[i]) / step, the quotient truncated towards zero (arithmetic §14).
    """
    small = int8_table(call)
    if small is not None:
        return [looked_up(call, small)]
    table = call.table
    if table is None or table.dtype != np.int16 or table.size < 2 or call.arg(0).data.dtype != np.int16:
        raise ProgramError(
            "the runtime computes it from a table of its element type, and it has none.",
            subject=call.node.subject,
        )
    entries, step = table.reshape(-1), _step(table)
    place = call.arg(0).data.astype(np.int64) + 32768
    if call.target.interpolated_tables:
        return [_interpolated(entries, place, step)]
    index = call.target.rounding.to_int(place / step)
    return [entries[np.minimum(index, table.size - 1)]]


def _step(table: Array) -> int:
    """The distance of the inputs of an int16 table's entries."""
    return 65536 // (table.size - 1)


def _interpolated(entries: Array, place: Array, step: int) -> Array:
    index, rest = np.divmod(place, step)
    wide = entries.astype(np.int64)
    first, second = (wide[np.minimum(i, len(wide) - 1)] for i in (index, index + 1))
    product = rest * (second - first)
    result: Array = first + np.sign(product) * (np.abs(product) // step)
    return result.astype(np.int16)


def between_entries(call: Call) -> bool:
    """Whether the node reads an int16 table that has no entry for some inputs, so that versions of ESP-DL differ."""
    if call.node.op_type not in ("LUT", "Gelu") or call.out.dtype is not DType.INT16:
        return False
    table = call.table
    return table is not None and table.size > 1 and _step(table) > 1


def int16_table_rule(call: Call) -> str | None:
    """An int16 table has the output's exponent and an entry for every 2**k-th input and one behind the last."""
    table = call.table if call.out.dtype is DType.INT16 else None
    if table is None or table.dtype != np.int16 or table.size < 2:
        return None
    exponents = call.constants[str(call.node.attributes["lut"])].exponents
    if exponents != call.out.exponents:
        return f"its table has exponent {exponents}, its output {call.out.exponents}; write the table in the output's."
    step = _step(table)
    if table.size != 65536 and (step & (step - 1) or (table.size - 1) * step != 65536):
        return (
            f"its table has {table.size} entries, which the runtime does not step through evenly; write 257, 2049 or "
            "65536."
        )
    return None


def gelu(node: FloatNode, x: Float64) -> Float64:
    """``x · Φ(x)``, or its tanh approximation where the node asks for it."""
    if node.text("approximate", "none") == "tanh":
        gate: Float64 = 1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    else:
        gate = 1 + erf(x / np.sqrt(2))
    return 0.5 * x * gate


def lower_gelu(call: Lowering) -> None:
    """int8: a Gelu with its table. int16: a LUT node, as no float Gelu exists."""
    if call.quant_type == "S8":
        return lower_unary(call, lambda x: gelu(call.node, x).astype(np.float32))
    return lower_table(call, lambda x: gelu(call.node, x))


def lower_table(call: Lowering, function: Callable[[Float64], Array], original: str = "") -> None:
    """A LUT node: 256 entries in int8, one in `INT16_STEP` in int16, of the function rounded to float32.

    Args:
        call: The lowering; input 0 and output 0 quantized alike.
        function: The function of real numbers, in float64.
        original: What the node records as its origin; the float node's type by default.

    Raises:
        QuantizationError: The input or the output is float.
    """
    source, result = call.slot(0).format, call.outputs[0].format
    if source is None or result is None:
        raise QuantizationError("a look-up table needs an integer format on both sides.", subject=call.node.subject)
    step = 1 if source.bits == 8 else INT16_STEP
    table = function_table(lambda x: function(x).astype(np.float32), source, result, call.target, step)
    attributes = {
        **plain_attributes(call.node),
        **({} if source.bits == 8 else {"int16_lut_step": step}),
        "lut": call.sink.add_table("LUT", table, result.exponents),
        "original_op_type": original or call.node.op_type,
    }
    return call.emit([call.name(0)], attributes=attributes, op_type="LUT")


OPERATORS = (
    unary("Gelu", lut, gelu, types=INTEGER, lower=lower_gelu, rules=(int16_table_rule,)),
    Operator(
        "LUT",
        lut,
        emit_unary(lut),
        shape=same_shape,
        types=INTEGER,
        ports=free_ports,
        layout=passive,
        rules=(table_exponent_rule, int16_table_rule),
        cost=element_cost,
        work=table_or(in_float),
        importable=False,
    ),
)
