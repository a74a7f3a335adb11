"""Spells Einsum out as Transpose, Reshape and MatMul.

A dimension of a product of two is one of five: in both operands and the result (a batch), in both but not in the result
(summed), in the left or the right operand and the result, or in one operand alone (summed beforehand). With its
dimensions in that order and merged, each operand is a batch of matrices. Nothing to sum over leaves a Mul. One operand
is summed and transposed; more than two are multiplied pair by pair, from the left. A constant operand goes to the
right, where it is the weights of a layer.

Equations that repeat an index in one operand (diagonals) stay, and so do dimensions of one that stand for longer ones.
Exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    add_constant,
    constant,
    drop_unused,
    each,
    get_string,
    graph_of,
    insert,
    is_constant,
    operands,
    shape_of,
    swap,
)
from tinsmith.graph.passes.reshapes import reshaped

ENABLES = ("Einsum",)

_DOTS = "αβγδεζηθικλμνξοπρστυφχψω"
"""Names for the dimensions that an ellipsis stands for, the last ones last."""


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Einsum",), _rewrite)


@dataclass(frozen=True, slots=True)
class Equation:
    """What an Einsum computes.

    Attributes:
        terms: The indices of each operand.
        result: Those of the result.
        sizes: Length of each.
    """

    terms: tuple[str, ...]
    result: str
    sizes: Mapping[str, int]

    def shape(self, indices: str) -> tuple[int, ...]:
        """The lengths of some indices."""
        return tuple(self.sizes[index] for index in indices)

    def size(self, indices: str) -> int:
        """How many elements they have."""
        return prod(self.shape(indices))


def parse(text: str, shapes: Sequence[tuple[int, ...]]) -> Equation | None:
    """The equation with ellipses spelled out; None where an index repeats or has two lengths."""
    left, arrow, right = text.replace(" ", "").partition("->")
    terms = left.split(",")
    dotted = [len(shape) - len(term.replace("...", "")) for term, shape in zip(terms, shapes, strict=True)]
    most = max((count for term, count in zip(terms, dotted, strict=True) if "..." in term), default=0)
    if most > len(_DOTS):
        return None
    terms = [
        term.replace("...", _DOTS[len(_DOTS) - count :] if count else "")
        for term, count in zip(terms, dotted, strict=True)
    ]
    dots = _DOTS[len(_DOTS) - most :] if most else ""
    counts = {index: sum(term.count(index) for term in terms) for index in "".join(terms)}
    single = "".join(sorted(index for index, count in counts.items() if count == 1 and index not in dots))
    result = right.replace("...", dots) if arrow else dots + single
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        if len(term) != len(shape) or len(set(term)) != len(term):
            return None
        for index, size in zip(term, shape, strict=True):
            if sizes.setdefault(index, size) != size:
                return None
    return Equation(tuple(terms), result, sizes) if set(result) <= set(sizes) else None


def _rewrite(node: ir.Node) -> bool:
    values = list(operands(node))
    equation = parse(get_string(node, "equation", ""), [shape_of(value) for value in values])
    if equation is None or len(set(equation.result)) != len(equation.result):
        return False
    terms = list(equation.terms)
    while len(terms) > 1:
        kept = set(equation.result).union(*terms[2:])
        term = equation.result if len(terms) == 2 else "".join(i for i in _ordered(terms[0] + terms[1]) if i in kept)
        values[:2] = [_product(node, values[:2], Equation((terms[0], terms[1]), term, equation.sizes))]
        terms[:2] = [term]
    value, term = _summed(node, values[0], terms[0], equation, "".join(i for i in terms[0] if i in equation.result))
    value = arranged(node, value, term, equation.result)
    swap(node, "Identity", [value])
    return True


def _ordered(indices: str) -> str:
    return "".join(dict.fromkeys(indices))


def _product(node: ir.Node, values: Sequence[ir.Value], equation: Equation) -> ir.Value:
    """Two operands as one, with the indices of the equation's result."""
    (first, second), (left, right) = values, equation.terms
    if is_constant(first) and not is_constant(second):
        first, second, left, right = second, first, right, left
    first, left = _summed(node, first, left, equation, _kept(left, right + equation.result))
    second, right = _summed(node, second, right, equation, _kept(right, left + equation.result))
    result = equation.result
    inner = "".join(i for i in left if i in right and i not in result)
    if not inner:
        return _elementwise(node, first, second, left, right, equation)
    batch = "".join(i for i in result if i in left and i in right)
    rows, columns = _kept(left, result, batch), _kept(right, result, batch)
    batches = (equation.size(batch),) if batch else ()
    sizes = equation.size(rows), equation.size(inner), equation.size(columns)
    a = arranged(node, first, left, batch + rows + inner)
    b = arranged(node, second, right, batch + inner + columns)
    a = reshaped(node, a, (*batches, sizes[0], sizes[1]), "left")
    b = reshaped(node, b, (*batches, sizes[1], sizes[2]), "right")
    product = insert(node, "MatMul", [a, b], (*batches, sizes[0], sizes[2]), name=f"{node.name}.product")
    order = batch + rows + columns
    return arranged(node, reshaped(node, product, equation.shape(order), "split"), order, result)


def _kept(term: str, others: str, without: str = "") -> str:
    return "".join(index for index in term if index in others and index not in without)


def _elementwise(
    node: ir.Node, first: ir.Value, second: ir.Value, left: str, right: str, equation: Equation
) -> ir.Value:
    """Nothing is summed: each operand is repeated along what the other has."""
    result = equation.result
    sides = []
    for value, term in ((first, left), (second, right)):
        order = "".join(i for i in result if i in term)
        shape = tuple(equation.sizes[i] if i in term else 1 for i in result)
        sides.append(reshaped(node, arranged(node, value, term, order), shape, "repeated"))
    return insert(node, "Mul", sides, equation.shape(result), name=f"{node.name}.product")


def _summed(node: ir.Node, value: ir.Value, term: str, equation: Equation, kept: str) -> tuple[ir.Value, str]:
    """A value without the indices that are not kept."""
    axes = [place for place, index in enumerate(term) if index not in kept]
    if not axes:
        return value, term
    graph, array = graph_of(node), constant(value)
    left = "".join(index for index in term if index in kept)
    if array is not None:
        return add_constant(graph, array.sum(axis=tuple(axes), dtype=array.dtype), f"{value.name}.summed"), left
    named = add_constant(graph, np.array(axes, np.int64), f"{node.name}.axes")
    attributes = {"keepdims": 0}
    return insert(node, "ReduceSum", [value, named], equation.shape(left), attributes, name=f"{node.name}.summed"), left


def arranged(node: ir.Node, value: ir.Value, term: str, order: str) -> ir.Value:
    """A value with its indices in another order; a constant anew, else by a Transpose."""
    if term == order:
        return value
    perm = tuple(term.index(index) for index in order)
    array = constant(value)
    if array is not None:
        drop_unused(value)
        return add_constant(graph_of(node), np.ascontiguousarray(array.transpose(perm)), f"{value.name}.transposed")
    shape = shape_of(value)
    name = f"{node.name}.transposed"
    return insert(node, "Transpose", [value], tuple(shape[axis] for axis in perm), {"perm": perm}, name=name)
