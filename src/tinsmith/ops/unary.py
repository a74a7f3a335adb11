"""How unary functions become operators: tables in int8, float32 arithmetic in int16 (arithmetic §4.1, §4.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinsmith.ops.base import ALL, Constraint, Cost, Operator, Precision, free_ports, move_ports
from tinsmith.ops.call import Array, Call
from tinsmith.ops.emit import Emit
from tinsmith.ops.floatmath import Float32, Float64
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.layouts import passive
from tinsmith.ops.lowering import Lowering, lower_unary
from tinsmith.ops.passage import Passage, Weighted, stops
from tinsmith.ops.ports import Ports
from tinsmith.ops.tables import emit_unary, int8_table, looked_up, table_exponent_rule
from tinsmith.ops.values import from_real, real
from tinsmith.ops.work import Working, functions, table_or
from tinsmith.targets import Target

Compute = Callable[[Call], Sequence[Array]]


Runtime = Callable[[Call, Float32], Float32]
Meant = Callable[[FloatNode, Float64], Float64]
FUNCTION_WORK = table_or(functions)


def by_function(function: Runtime) -> Compute:
    """``compute``: the table in int8 where there is one, else ``sat(R(f32(f(x') · 2**-e_y)))``, x' = f32(x · 2**e_x).

    ``function`` maps real float32 inputs to real float32 outputs, every step rounded as on the chip.
    """

    def compute(call: Call) -> Sequence[Array]:
        with np.errstate(all="ignore"):
            values = function(call, real(call.arg(0)))
        return [from_real(call, values)]

    return by_table_or(compute)


def by_table_or(compute: Compute) -> Compute:
    """``compute``: the table in int8 where there is one, else as given."""

    def with_table(call: Call) -> Sequence[Array]:
        table = int8_table(call)
        return [looked_up(call, table)] if table is not None else compute(call)

    return with_table


def same_shape(call: Call) -> Sequence[tuple[int, ...]]:
    """The output has input 0's shape."""
    return [call.arg(0).data.shape]


def element_cost(node: FloatNode) -> Cost:
    """One look-up or function value per element."""
    return Cost(0, "activation")


def unary(
    name: str,
    compute: Compute,
    meant: Meant,
    *,
    emit: Callable[[Emit], None] | None = None,
    tied: bool = False,
    types: frozenset[Precision] = ALL,
    lower: Callable[[Lowering], None] | None = None,
    constraints: tuple[Constraint, ...] = (),
    rules: tuple[Callable[[Call], str | None], ...] = (),
    passage: Callable[[FloatNode], Passage | Weighted] = stops,
    work: Working = FUNCTION_WORK,
) -> Operator:
    """An operator on one variable.

    Args:
        name: Its type.
        compute: What the runtime computes.
        meant: The function of real numbers that the float network means, in float64. Int8 tables hold it rounded to
            float32, as the float network computes it: -5 · 0.1 is a tie there, and in float64 it is not.
        emit: Where it is not the table of all inputs.
        tied: Whether the output keeps the input's exponent.
        types: Precisions the runtime has.
        lower: Where it is not a table in int8 and the plain operator otherwise.
        constraints: Limits of float nodes.
        rules: Limits of program nodes.
        passage: What becomes of factors on its input's channels.
        work: What it makes the chip do.
    """

    def lower_default(call: Lowering) -> None:
        lower_unary(call, lambda x: meant(call.node, x).astype(np.float32))

    def ports(node: FloatNode, target: Target) -> Ports:
        return move_ports(node, target) if tied else free_ports(node, target)

    return Operator(
        name,
        compute,
        emit or emit_unary(compute),
        shape=same_shape,
        types=types,
        ports=ports,
        layout=passive,
        lower=lower or lower_default,
        constraints=constraints,
        rules=(table_exponent_rule, *rules),
        cost=element_cost,
        passage=passage,
        function=lambda node, x, *_: meant(node, x),
        work=work,
    )
