"""Elements of a value as a weighted sum of others: what adds, scales and matrix products with constants compute."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import Array, constant, get_float, get_int, input_of, is_float, present
from tinsmith.graph.elements import Part, operand, origin, origins


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """Elements as constants plus matrices times other elements.

    Attributes:
        constant: (n,) float.
        terms: [(m elements, matrix (n, m))], each set of elements once.
    """

    constant: Array
    terms: tuple[tuple[Part, Array], ...]

    def plus(self, other: Affine, sign: int = 1) -> Affine:
        """The sum of both, or the difference."""
        terms = list(self.terms)
        for part, matrix in other.terms:
            found = next((index for index, (mine, _) in enumerate(terms) if mine.same(part)), None)
            if found is None:
                terms.append((part, sign * matrix))
            else:
                terms[found] = (part, terms[found][1] + sign * matrix)
        return Affine(self.constant + sign * other.constant, tuple(terms))

    def times(self, factors: Array) -> Affine:
        """Each element times a number: (n,)."""
        return Affine(self.constant * factors, tuple((part, matrix * factors[:, None]) for part, matrix in self.terms))


def affine(part: Part, stops: Collection[ir.Value] = ()) -> Affine:
    """Elements as a weighted sum, through sums, factors and at most one product with a constant matrix.

    Args:
        part: The elements.
        stops: Values that are not taken apart.
    """
    pieces = origins(part)
    if len(pieces) == 1:
        return _affine(pieces[0][1], stops)
    total = Affine(np.zeros(len(part), np.float32), ())
    for places, piece in pieces:
        total = total.plus(_spread(_affine(piece, stops), places, len(part)))
    return total


def _spread(form: Affine, places: Array, count: int) -> Affine:
    """The same rows at other places among zeros."""

    def rows(array: Array) -> Array:
        result = np.zeros((count, *array.shape[1:]), array.dtype)
        result[places] = array
        return result

    return Affine(rows(form.constant), tuple((part, rows(matrix)) for part, matrix in form.terms))


def _affine(part: Part, stops: Collection[ir.Value]) -> Affine:
    known, node = part.constant, part.value.producer()
    if known is not None:
        return Affine(known, ())
    takes = None if node is None or part.value in stops or not is_float(part.value) else _SUMS.get(node.op_type)
    found = None if takes is None or node is None else takes(node, part, stops)
    return found or Affine(np.zeros(len(part), np.float32), ((part, np.eye(len(part), dtype=np.float32)),))


def _add(node: ir.Node, part: Part, stops: Collection[ir.Value]) -> Affine | None:
    return affine(operand(part, 0), stops).plus(affine(operand(part, 1), stops))


def _sub(node: ir.Node, part: Part, stops: Collection[ir.Value]) -> Affine | None:
    return affine(operand(part, 0), stops).plus(affine(operand(part, 1), stops), -1)


def _neg(node: ir.Node, part: Part, stops: Collection[ir.Value]) -> Affine | None:
    return affine(operand(part, 0), stops).times(np.full(len(part), -1, np.float32))


def _mul(node: ir.Node, part: Part, stops: Collection[ir.Value]) -> Affine | None:
    for index in (0, 1):
        factors = origin(operand(part, index)).constant
        if factors is not None:
            return affine(operand(part, 1 - index), stops).times(factors)
    return None


def _div(node: ir.Node, part: Part, stops: Collection[ir.Value]) -> Affine | None:
    divisors = origin(operand(part, 1)).constant
    return None if divisors is None else affine(operand(part, 0), stops).times(1 / divisors)


def _product(node: ir.Node, part: Part, stops: Collection[ir.Value]) -> Affine | None:
    """Elements of one row of a product with a constant matrix on its right."""
    left, right = present(node, 0), constant(input_of(node, 1))
    if right is None or right.ndim != 2 or get_int(node, "transA", 0):
        return None
    right = right.T if get_int(node, "transB", 0) else right
    rows, columns = np.divmod(part.at, right.shape[1])
    if np.any(rows != rows[0]):
        return None
    matrix = (right.T if node.op_type == "MatMul" else right.T * np.float32(get_float(node, "alpha", 1.0)))[columns]
    total = Affine(np.zeros(len(part), np.float32), ())
    inner = Part(left, rows[0] * right.shape[0] + np.arange(right.shape[0]))
    for places, piece in origins(inner):
        known = piece.constant
        if known is not None:
            total = total.plus(Affine(matrix[:, places] @ known, ()))
            continue
        order = np.argsort(piece.at, kind="stable")
        term = (Part(piece.value, piece.at[order]), np.ascontiguousarray(matrix[:, places[order]]))
        total = total.plus(Affine(np.zeros(len(part), np.float32), (term,)))
    if node.op_type == "Gemm" and input_of(node, 2) is not None:
        bias = affine(operand(part, 2), stops)
        total = total.plus(bias.times(np.full(len(part), get_float(node, "beta", 1.0), np.float32)))
    return total


_SUMS: dict[str, Callable[[ir.Node, Part, Collection[ir.Value]], Affine | None]] = {
    "Add": _add,
    "Sub": _sub,
    "Neg": _neg,
    "Mul": _mul,
    "Div": _div,
    "MatMul": _product,
    "Gemm": _product,
}
