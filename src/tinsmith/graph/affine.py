"""``scale · x + shift`` with constants: what BatchNormalization, Mul, Div, Add, Sub and Neg have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    Array,
    constant,
    get_float,
    get_int,
    input_of,
    is_constant,
    is_float,
    operands,
    present,
    shape_of,
)

KINDS = ("BatchNormalization", "Mul", "Div", "Add", "Sub", "Neg")
"""Operators that `read` understands."""


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """A node that scales and shifts.

    Attributes:
        source: x, of the same shape as the result.
        scale: Factors, float64, broadcastable to x.
        shift: Summands, float64, broadcastable to x.
    """

    source: ir.Value
    scale: Array
    shift: Array

    @property
    def scales(self) -> bool:
        """Whether any factor differs from 1."""
        return bool(np.any(self.scale != 1))

    @property
    def shifts(self) -> bool:
        """Whether any summand differs from 0."""
        return bool(np.any(self.shift != 0))

    def along(self, axis: int) -> tuple[Array, Array] | None:
        """Scale and shift as vectors along one axis of x, None where they vary along another."""
        shape = shape_of(self.source)
        scale, shift = (channelwise(array, shape, axis) for array in (self.scale, self.shift))
        return None if scale is None or shift is None else (scale, shift)


def channelwise(array: Array, shape: tuple[int, ...], axis: int) -> Array | None:
    """An array that broadcasts to ``shape`` as a vector along one axis, None where it varies along another."""
    axis %= len(shape)
    if array.size == 1:
        return np.full(shape[axis], array.reshape(-1)[0])
    full = (1,) * (len(shape) - array.ndim) + array.shape
    if array.ndim > len(shape) or full[axis] != array.size or array.size != shape[axis]:
        return None
    return array.reshape(-1)


def read(node: ir.Node) -> Affine | None:
    """The node as an `Affine`, None where it is not one: no constant operand, or one that enlarges the result."""
    if node.op_type not in KINDS or not is_float(node.outputs[0]):
        return None
    affine = _normalization(node) if node.op_type == "BatchNormalization" else _arithmetic(node)
    if affine is None or shape_of(affine.source) != shape_of(node.outputs[0]) or is_constant(affine.source):
        return None
    return affine


def _normalization(node: ir.Node) -> Affine | None:
    source = present(node, 0)
    rank = len(shape_of(source))
    parameters = [constant(input_of(node, index)) for index in range(1, 5)]
    known = [array.astype(np.float64) for array in parameters if array is not None]
    if len(known) != 4 or get_int(node, "training_mode", 0) or len(node.outputs) > 1 or rank < 2:
        return None
    gamma, beta, mean, variance = known
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = gamma / np.sqrt(variance + get_float(node, "epsilon", 1e-5))
    column = (-1, *(1 for _ in range(rank - 2)))
    return Affine(source, scale.reshape(column), (beta - mean * scale).reshape(column))


def _arithmetic(node: ir.Node) -> Affine | None:
    zero, one = np.zeros(()), np.ones(())
    if node.op_type == "Neg":
        return Affine(present(node, 0), -one, zero)
    left, right = operands(node)
    if is_constant(left) == is_constant(right):
        return None
    source, number = (left, constant(right)) if is_constant(right) else (right, constant(left))
    assert number is not None
    if number.size and number.size > sum(shape_of(source)) + 1:
        # A whole map of numbers, not a vector along one axis: nothing here can use it.
        return None
    c = number.astype(np.float64)
    if node.op_type == "Mul":
        return Affine(source, c, zero)
    if node.op_type == "Add":
        return Affine(source, one, c)
    if node.op_type == "Sub":
        return Affine(source, one, -c) if source is left else Affine(source, -one, c)
    return Affine(source, 1 / c, zero) if source is left and np.all(c != 0) else None
