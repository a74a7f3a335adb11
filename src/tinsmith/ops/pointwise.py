"""The functions of real numbers that element-wise nodes of a float network mean, in float64.

They make the tables of functions that several nodes compute together, and let rewrites recognize a formula by its
values. Every operator with a `tinsmith.ops.base.Operator.function` has one; the rest, with two operands or with bits
that only exist inside such formulas, stand here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from tinsmith.ops.floatnode import Array, FloatNode

Function = Callable[..., Array]
"""Called with the node and the values of its inputs in order; absent ones at the end are left out."""


def _remainder(node: FloatNode, a: Array, b: Array) -> Array:
    return np.fmod(a, b) if node.integer("fmod", 0) else np.mod(a, b)


def _cast(node: FloatNode, x: Array) -> Array:
    kind = node.outputs[0].dtype.kind
    if kind == "b":
        return np.not_equal(x, 0)
    return np.trunc(x) if kind in "iu" else np.asarray(x, np.float64)


def _plain(ufunc: Callable[..., Any]) -> Function:
    """A function that no attribute changes."""
    return lambda node, *values: np.asarray(ufunc(*values))


def _fold(ufunc: Callable[[Array, Array], Array]) -> Function:
    """A function of any number of operands."""

    def function(node: FloatNode, *values: Array) -> Array:
        total = values[0]
        for value in values[1:]:
            total = ufunc(total, value)
        return total

    return function


_OTHERS: Mapping[str, Function] = {
    "Abs": _plain(np.abs),
    "Add": _plain(np.add),
    "And": _plain(np.logical_and),
    "Cast": _cast,
    "Div": _plain(np.divide),
    "Equal": _plain(np.equal),
    "Greater": _plain(np.greater),
    "GreaterOrEqual": _plain(np.greater_equal),
    "Identity": _plain(np.asarray),
    "Less": _plain(np.less),
    "LessOrEqual": _plain(np.less_equal),
    "Max": _fold(np.maximum),
    "Mean": lambda node, *values: _fold(np.add)(node, *values) / len(values),
    "Min": _fold(np.minimum),
    "Mod": _remainder,
    "Mul": _plain(np.multiply),
    "Not": _plain(np.logical_not),
    "Or": _plain(np.logical_or),
    "PRelu": lambda node, x, slope: np.where(x >= 0, x, x * slope),
    "Pow": _plain(np.power),
    "Reciprocal": _plain(lambda x: 1 / x),
    "Sub": _plain(np.subtract),
    "Sum": _fold(np.add),
    "Where": _plain(np.where),
    "Xor": _plain(np.logical_xor),
}


STEEP = ("Div", "Exp", "Log", "Pow", "Sqrt")
"""Functions that make a rounding of what they are given much larger somewhere: near 0, or where they grow."""


@cache
def functions() -> Mapping[str, Function]:
    """All functions, by operator type."""
    from tinsmith.ops import operators

    found = {name: operator.function for name, operator in operators().items() if operator.function is not None}
    return {**found, **_OTHERS}


def apply(node: FloatNode, values: Mapping[str, Array]) -> Array:
    """One element-wise node in float64.

    Args:
        node: A node of one of the types in `functions`.
        values: Its computed inputs by name.

    Returns:
        Its output: float64, whole numbers included, or bool.
    """
    operands = [
        _value(operand.const) if operand.const is not None else values[operand.name] for operand in _given(node)
    ]
    with np.errstate(all="ignore"):
        return functions()[node.op_type](node, *operands)


def _given(node: FloatNode) -> Sequence[Any]:
    return [operand for operand in node.inputs if operand is not None]


def _value(const: Array) -> Array:
    return const if const.dtype.kind == "b" else const.astype(np.float64)


def evaluate(body: Sequence[FloatNode], x: Array) -> Array:
    """The last output of nodes in order, whose only computed input from outside is ``x``; of its shape.

    Args:
        body: Element-wise nodes; their constants have one element each.
        x: float64, any shape.
    """
    inside = {output.name for node in body for output in node.outputs}
    values: dict[str, Array] = {}
    for node in body:
        outside = {o.name: x for o in _given(node) if o.const is None and o.name not in inside}
        values[node.outputs[0].name] = apply(node, {**values, **outside})
    found = values[body[-1].outputs[0].name]
    # Constants of one element may have more dimensions than x.
    return np.broadcast_to(found.reshape(found.shape[max(found.ndim - x.ndim, 0) :]), x.shape)
