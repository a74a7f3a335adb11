"""Comparisons: booleans from raw integers (arithmetic §3.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinsmith.errors import QuantizationError
from tinsmith.ops.base import INTEGER, Operator
from tinsmith.ops.broadcast import broadcast_shape, element_cost, few_dimensions, merged_dimensions_rule
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import elementwise
from tinsmith.ops.lowering import PLAIN, Lowering, Slot, layout_doc, plain_attributes
from tinsmith.ops.places import common_layout, operand
from tinsmith.ops.ports import ACTIVATION, BOOL, Ports
from tinsmith.ops.work import sized
from tinsmith.quant.format import Format
from tinsmith.targets import Target

FUNCTIONS: dict[str, Callable[[Array, Array], Array]] = {
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
}


def compare(call: Call) -> Sequence[Array]:
    """Raw integers; exponents are never read."""
    return [np.asarray(FUNCTIONS[call.node.op_type](call.arg(0).data, call.arg(1).data))]


def emit_compare(e: Emit) -> None:
    """The same comparison of whole numbers."""
    layout, rank = common_layout(e, (0, 1)), len(broadcast_shape(e.call)[0])
    result = e.op(e.call.node.op_type, operand(e, 0, layout, rank), operand(e, 1, layout, rank))
    e.give(result, layout=layout, rank=rank)


def compare_ports(node: FloatNode, target: Target) -> Ports:
    """Operands in formats of their own: lowering brings both to the coarser one."""
    return Ports((ACTIVATION, ACTIVATION), (BOOL,))


def equal_exponents(call: Call) -> str | None:
    """The kernels read no exponents."""
    first, second = call.arg(0).exponent, call.arg(1).exponent
    if first == second:
        return None
    return f"its operands have exponents {first} and {second}, and the kernel reads neither. Requantize one of them."


def lower_compare(call: Lowering) -> None:
    """Both operands in the larger of their exponents: one of them behind a RequantizeLinear, or written so."""
    formats = [call.slot(index).format for index in (0, 1)]
    if formats[0] is None or formats[1] is None:
        raise QuantizationError(
            "both operands need an integer format: the runtime compares no floats.",
            subject=call.node.subject,
        )
    common = max(formats[0], formats[1], key=lambda f: f.exponent)
    names = [_arriving(call, call.slot(index), common) for index in (0, 1)]
    call.emit(names, attributes=plain_attributes(call.node))


def _arriving(call: Lowering, slot: Slot, wanted: Format) -> str:
    assert slot.format is not None, slot.name
    doc = layout_doc(slot.perm)
    if slot.const is not None:
        return call.sink.add_constant(
            slot.name, wanted.quantize(slot.laid_out(), call.target.rounding), wanted.exponents, doc
        )
    if slot.format.exponent == wanted.exponent:
        return slot.name
    name = call.sink.add_value(f"{slot.name}_compared", slot.dtype, slot.shape, wanted.exponents)
    ratio = np.asarray(2.0 ** (wanted.exponent - slot.format.exponent), np.float32)
    scale = call.sink.add_constant(f"{name}_scale", ratio, (0,), PLAIN)
    zero = call.sink.add_constant(f"{name}_zero_point", np.zeros((), slot.dtype.numpy), (0,), PLAIN)
    call.emit([slot.name, scale, zero], [name], op_type="RequantizeLinear", name=f"{name}_RequantizeLinear")
    return name


OPERATORS = tuple(
    Operator(
        name,
        compare,
        emit_compare,
        shape=broadcast_shape,
        types=INTEGER,
        ports=compare_ports,
        layout=elementwise,
        lower=lower_compare,
        constraints=(few_dimensions,),
        rules=(equal_exponents, merged_dimensions_rule),
        cost=element_cost,
        work=sized,
    )
    for name in FUNCTIONS
)
