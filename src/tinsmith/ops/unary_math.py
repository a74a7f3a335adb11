"""Unary math: Exp, Log, Sqrt and Neg (arithmetic §4.2, §4.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinsmith.ops.call import Array, Call
from tinsmith.ops.floatmath import Float64, expf, logf, sqrtf
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.unary import by_function, by_table_or, unary
from tinsmith.ops.values import saturated
from tinsmith.ops.work import in_float, sized, table_or


def neg(call: Call) -> Sequence[Array]:
    """Integer -x, where the smallest becomes the largest; exponents are never read."""
    x = call.arg(0).data
    return [-x] if call.is_float else [saturated(call, -x.astype(np.int64))]


def equal_exponents(call: Call) -> str | None:
    """The kernel copies integers."""
    source, result = call.arg(0).exponent, call.out.exponent
    if call.is_float or call.table is not None or source == result:
        return None
    return f"the exponents {source} of its input and {result} of its output differ, and the kernel reads neither."


FAR = 2.0**64
"""Beyond every integer format."""


def _exp(node: FloatNode, x: Float64) -> Float64:
    return np.exp(np.minimum(x, np.log(FAR)))


def _log(node: FloatNode, x: Float64) -> Float64:
    """The smallest integer for x ≤ 0, where the logarithm has no value."""
    return np.log(x, out=np.full_like(x, -FAR), where=x > 0)


OPERATORS = (
    unary("Exp", by_function(lambda call, x: expf(x)), _exp),
    unary("Log", by_function(lambda call, x: logf(x)), _log),
    unary(
        "Sqrt",
        by_function(lambda call, x: sqrtf(x)),
        lambda node, x: np.sqrt(np.maximum(x, 0)),
        work=table_or(in_float),
    ),
    unary("Neg", by_table_or(neg), lambda node, x: -x, tied=True, rules=(equal_exponents,), work=table_or(sized)),
)
