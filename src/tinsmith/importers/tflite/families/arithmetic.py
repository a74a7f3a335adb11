"""Arithmetic on elements, with broadcasting as in numpy."""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.importers.tflite.families.fused import activated
from tinsmith.importers.tflite.operation import Operation, operator

_BINARY = {
    "ADD": "Add",
    "SUB": "Sub",
    "MUL": "Mul",
    "DIV": "Div",
    "POW": "Pow",
    "MAXIMUM": "Max",
    "MINIMUM": "Min",
    "LESS": "Less",
    "LESS_EQUAL": "LessOrEqual",
    "GREATER": "Greater",
    "GREATER_EQUAL": "GreaterOrEqual",
    "EQUAL": "Equal",
    "LOGICAL_AND": "And",
    "LOGICAL_OR": "Or",
}
_UNARY = {
    "ABS": "Abs",
    "NEG": "Neg",
    "EXP": "Exp",
    "SQRT": "Sqrt",
    "LOG": "Log",
    "SIN": "Sin",
    "COS": "Cos",
    "FLOOR": "Floor",
    "CEIL": "Ceil",
    "ROUND": "Round",
    "SIGN": "Sign",
    "LOGICAL_NOT": "Not",
}


@operator(*_BINARY)
def binary(op: Operation) -> ir.Value:
    """Two operands, and maybe an activation."""
    return activated(op, op.emit(_BINARY[op.kind], op.value(0), op.value(1)))


@operator(*_UNARY)
def unary(op: Operation) -> ir.Value:
    """One operand."""
    return op.emit(_UNARY[op.kind], op.value())


@operator("ADD_N")
def add_n(op: Operation) -> ir.Value:
    """Any number of operands."""
    return op.emit("Sum", *op.values())


@operator("NOT_EQUAL")
def not_equal(op: Operation) -> ir.Value:
    """True where they differ."""
    return op.emit("Not", op.emit("Equal", op.value(0), op.value(1)))


@operator("SQUARE")
def square(op: Operation) -> ir.Value:
    """Times itself."""
    return op.emit("Mul", op.value(), op.value())


@operator("RSQRT")
def rsqrt(op: Operation) -> ir.Value:
    """One by the root."""
    return op.emit("Reciprocal", op.emit("Sqrt", op.value()))


@operator("SQUARED_DIFFERENCE")
def squared_difference(op: Operation) -> ir.Value:
    """The difference times itself."""
    difference = op.emit("Sub", op.value(0), op.value(1))
    return op.emit("Mul", difference, difference)


@operator("FLOOR_DIV")
def floor_div(op: Operation) -> ir.Value:
    """The quotient, rounded down."""
    if not op.is_float():
        first, second = op.value(0), op.value(1)
        rest = op.emit("Mod", first, second)  # of the divisor's sign: what is left divides without one
        return op.emit("Div", op.emit("Sub", first, rest), second)
    return op.emit("Floor", op.emit("Div", op.value(0), op.value(1)))


@operator("FLOOR_MOD")
def floor_mod(op: Operation) -> ir.Value:
    """What is left, of the divisor's sign."""
    if not op.is_float():
        return op.emit("Mod", op.value(0), op.value(1))
    times = op.emit("Floor", op.emit("Div", op.value(0), op.value(1)))
    return op.emit("Sub", op.value(0), op.emit("Mul", times, op.value(1)))


@operator("SELECT", "SELECT_V2")
def select(op: Operation) -> ir.Value:
    """One or the other; a list of conditions may stand for whole rows (SELECT only)."""
    condition = op.value(0)
    if op.kind == "SELECT" and op.rank(0) == 1 and op.rank(1) > 1:
        condition = op.emit("Reshape", condition, op.ints_of((-1, *(1,) * (op.rank(1) - 1)), "rows"))
    return op.emit("Where", condition, op.value(1), op.value(2))


@operator("CAST")
def cast(op: Operation) -> ir.Value:
    """To the type of the result; a quantized one stands for real numbers."""
    return op.emit("Cast", op.value(), to=op.result_dtype())


@operator("CUMSUM")
def cumsum(op: Operation) -> ir.Value:
    """Sums of all up to each element along an axis."""
    options = {name.lower(): int(op.option(name, False)) for name in ("Exclusive", "Reverse")}
    axis = op.emit("Reshape", op.wide(1), op.ints_of((), "scalar"))
    return op.emit("CumSum", op.value(), axis, **options)
