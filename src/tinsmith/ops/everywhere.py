"""Limits that hold for the nodes of every operator."""

from __future__ import annotations

from tinsmith.ops import find
from tinsmith.ops.base import Precision
from tinsmith.ops.call import Call
from tinsmith.quant.format import FARTHEST_EXPONENT

_PRECISIONS: dict[str, Precision] = {"int8": "int8", "int16": "int16", "float32": "float32"}


def known_precision(call: Call) -> str | None:
    """The runtime has modules for some element types only."""
    first = call.optional(0)
    operator = find(call.node.op_type, call.node.name)
    kind = None if first is None else _PRECISIONS.get(first.data.dtype.name)
    if kind is None or kind in operator.types:
        return None
    has = " and ".join(sorted(operator.types))
    return f"the runtime has no {kind} {operator.name}, only {has}: convert the input before it."


def near_exponents(call: Call) -> str | None:
    """Scales are shifts of a 32-bit one in the runtime's float kernels: garbage beyond 30."""
    sources = zip(call.node.inputs, call.inputs, strict=False)
    found = [a.exponent for name, a in sources if a is not None and name not in call.constants]
    found += [value.exponent for value in call.outputs if value.dtype.quantized]
    worst = max(found, key=abs, default=0)
    if abs(worst) <= FARTHEST_EXPONENT:
        return None
    return (
        f"a tensor has exponent {worst}, and the runtime scales by 2**{-FARTHEST_EXPONENT} … 2**{FARTHEST_EXPONENT}: "
        "scale the network's data to ordinary numbers."
    )


def misfits(call: Call) -> list[str]:
    """What is wrong about the node, whatever its operator."""
    return [reason for rule in (known_precision, near_exponents) if (reason := rule(call)) is not None]
