"""Functions of one variable that the runtime has no module for: look-up tables (arithmetic §4.1, file format §7).

In int8 the table holds the function itself, rounded once; in int16 as well, at 128 KiB per function and pair of
exponents. *Function* stands for several nodes of the float network that together are a function of one variable, such
as x · tanh(log(1 + eˣ)); `tinsmith.graph.functions` finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinsmith.errors import ProgramError
from tinsmith.ops.base import INTEGER, Operator, free_ports
from tinsmith.ops.call import Array, Call
from tinsmith.ops.floatmath import Float64, erf
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import passive
from tinsmith.ops.lowering import Lowering
from tinsmith.ops.lut import lower_table
from tinsmith.ops.pointwise import evaluate
from tinsmith.ops.unary import element_cost

FUNCTION = "Function"
"""Operator type of a node that stands for several."""


def _refuse(call: Call) -> Sequence[Array]:
    raise ProgramError("the runtime has no such operator; a LUT node computes it.", subject=call.node.subject)


def function(name: str, meant: Callable[[FloatNode, Float64], Float64]) -> Operator:
    """An operator that becomes a LUT node.

    Args:
        name: Its type in float networks.
        meant: The function of real numbers, in float64; NaN makes 0, infinities the largest and smallest integer.
    """

    def lower(call: Lowering) -> None:
        origin = "+".join(part.op_type for part in call.node.body)
        lower_table(call, lambda x: meant(call.node, x), origin)

    return Operator(
        name,
        _refuse,
        types=INTEGER,
        ports=free_ports,
        layout=passive,
        lower=lower,
        cost=element_cost,
        function=meant,
    )


def _selu(node: FloatNode, x: Float64) -> Float64:
    alpha = node.real("alpha", 1.67326319217681884765625)
    return node.real("gamma", 1.05070102214813232421875) * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _celu(node: FloatNode, x: Float64) -> Float64:
    alpha = node.real("alpha", 1.0)
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x / alpha, 0))


def _shrink(node: FloatNode, x: Float64) -> Float64:
    bias, beyond = node.real("bias", 0.0), node.real("lambd", 0.5)
    return np.where(x < -beyond, x + bias, np.where(x > beyond, x - bias, 0))


OPERATORS = (
    function("Acos", lambda node, x: np.arccos(np.clip(x, -1, 1))),
    function("Acosh", lambda node, x: np.arccosh(np.maximum(x, 1))),
    function("Asin", lambda node, x: np.arcsin(np.clip(x, -1, 1))),
    function("Asinh", lambda node, x: np.arcsinh(x)),
    function("Atan", lambda node, x: np.arctan(x)),
    function("Atanh", lambda node, x: np.arctanh(np.clip(x, -1, 1))),
    function("Ceil", lambda node, x: np.ceil(x)),
    function("Celu", _celu),
    function("Cos", lambda node, x: np.cos(x)),
    function("Cosh", lambda node, x: np.cosh(x)),
    function("Erf", lambda node, x: erf(x)),
    function("Floor", lambda node, x: np.floor(x)),
    function("Mish", lambda node, x: x * np.tanh(np.logaddexp(0, x))),
    function("Round", lambda node, x: np.rint(x)),
    function("Selu", _selu),
    function("Shrink", _shrink),
    function("Sign", lambda node, x: np.sign(x)),
    function("Sin", lambda node, x: np.sin(x)),
    function("Sinh", lambda node, x: np.sinh(x)),
    function("Softplus", lambda node, x: np.logaddexp(0, x)),
    function("Softsign", lambda node, x: x / (1 + np.abs(x))),
    function("Tan", lambda node, x: np.tan(x)),
    function("ThresholdedRelu", lambda node, x: np.where(x > node.real("alpha", 1.0), x, 0)),
    function(FUNCTION, lambda node, x: evaluate(node.body, x)),
)
