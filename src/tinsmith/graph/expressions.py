"""Reading arithmetic with scalar constants as formulas, however it is spelled.

Exporters write the same activation in many orders of Mul, Div, Add and Sub. These functions look through them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import onnx_ir as ir

from tinsmith.graph.edit import input_of, is_float, only_user, operands, present, producer, scalar, shape_of

RELATIVE_TOLERANCE = 1e-5
"""How far a constant may be from the formula's: exporters round 1/6 or sqrt(2/pi) to six digits."""
_DEEPEST = 12


def near(value: float, wanted: float) -> bool:
    """Whether a constant is the formula's."""
    return math.isclose(value, wanted, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-9)


def factors(value: ir.Value) -> tuple[float, list[ir.Value]]:
    """A value as a product: its scalar factor, and the factors that are not constant.

    Looks through Mul, through Div by scalars, and through Neg, down to values that something else uses as well.
    """
    constant, leaves, pending = 1.0, [], [value]
    for _ in range(_DEEPEST):
        if not pending:
            break
        current = pending.pop(0)
        node = producer(current, "Mul", "Div", "Neg")
        if node is None or (current is not value and only_user(current) is None):
            leaves.append(current)
            continue
        if node.op_type == "Neg":
            constant = -constant
            pending.append(present(node, 0))
            continue
        divisor = scalar(node.inputs[1]) if node.op_type == "Div" else None
        if node.op_type == "Div" and not divisor:
            leaves.append(current)
            continue
        if divisor:
            constant /= divisor
            pending.append(present(node, 0))
            continue
        numbers = [scalar(operand) for operand in operands(node)]
        for number, operand in zip(numbers, operands(node), strict=True):
            if number is None:
                pending.append(operand)
            else:
                constant *= number
    return constant, leaves + pending


def gated(node: ir.Node) -> Iterator[tuple[ir.Value, ir.Value, float]]:
    """A node as a product of two values and a scalar: (source, gate, factor), either of the two as the source.

    Sources have the node's shape. Nothing where the node is no such product of floats.
    """
    output = node.outputs[0]
    if not is_float(output):
        return
    factor, leaves = factors(output)
    if len(leaves) != 2:
        return
    for source, gate in (leaves, leaves[::-1]):
        if shape_of(source) == shape_of(output):
            yield source, gate, factor


def scalar_affine(value: ir.Value) -> tuple[ir.Value, float, float]:
    """A value as ``a · x + b`` with scalars a and b, and an x of the same shape: (x, a, b).

    Looks down to the first value that something else uses as well.
    """
    scale, shift, shape, top = 1.0, 0.0, shape_of(value), value
    for _ in range(_DEEPEST):
        node = producer(value, "Mul", "Div", "Add", "Sub", "Neg")
        if node is None or (value is not top and only_user(value) is None):
            break
        step = _step(node)
        if step is None or shape_of(step[0]) != shape:
            break
        value, a, b = step
        scale, shift = scale * a, scale * b + shift
    return value, scale, shift


def _step(node: ir.Node) -> tuple[ir.Value, float, float] | None:
    if node.op_type == "Neg":
        return present(node, 0), -1.0, 0.0
    left, right = present(node, 0), present(node, 1)
    c, d = scalar(left), scalar(right)
    if (c is None) == (d is None):
        return None
    if d is not None:
        table = {"Mul": (d, 0.0), "Add": (1.0, d), "Sub": (1.0, -d)}
        if node.op_type == "Div":
            return (left, 1.0 / d, 0.0) if d else None
        return (left, *table[node.op_type])
    assert c is not None
    if node.op_type == "Div":
        return None
    return (right, *{"Mul": (c, 0.0), "Add": (1.0, c), "Sub": (-1.0, c)}[node.op_type])


def polynomial(value: ir.Value, x: ir.Value, depth: int = _DEEPEST) -> dict[int, float] | None:
    """A value as a polynomial in ``x``: coefficients by power; None where it is not one."""
    if value is x:
        return {1: 1.0}
    number = scalar(value)
    if number is not None:
        return {0: number}
    node = producer(value, "Mul", "Div", "Add", "Sub", "Neg", "Pow")
    if node is None or depth == 0:
        return None
    left = polynomial(present(node, 0), x, depth - 1)
    if left is None:
        return None
    if node.op_type == "Neg":
        return {power: -c for power, c in left.items()}
    if node.op_type == "Pow":
        exponent = scalar(input_of(node, 1))
        return _power(left, int(exponent)) if exponent is not None and exponent in (1.0, 2.0, 3.0) else None
    right = polynomial(present(node, 1), x, depth - 1)
    if right is None:
        return None
    if node.op_type == "Div":
        return {power: c / right[0] for power, c in left.items()} if set(right) == {0} and right[0] else None
    if node.op_type == "Mul":
        return _product(left, right)
    sign = -1.0 if node.op_type == "Sub" else 1.0
    return {p: left.get(p, 0.0) + sign * right.get(p, 0.0) for p in sorted(left.keys() | right.keys())}


def _product(left: dict[int, float], right: dict[int, float]) -> dict[int, float]:
    result: dict[int, float] = {}
    for p, a in left.items():
        for q, b in right.items():
            result[p + q] = result.get(p + q, 0.0) + a * b
    return result


def _power(base: dict[int, float], exponent: int) -> dict[int, float]:
    result = {0: 1.0}
    for _ in range(exponent):
        result = _product(result, base)
    return result


def is_polynomial(found: dict[int, float] | None, wanted: dict[int, float]) -> bool:
    """Whether the coefficients are these, within `RELATIVE_TOLERANCE`."""
    if found is None:
        return False
    powers = {power for power, c in found.items() if c} | wanted.keys()
    return all(near(found.get(power, 0.0), wanted.get(power, 0.0)) for power in powers)
