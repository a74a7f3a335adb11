"""Matrix products in the ranks that chips multiply fast.

- A product with a constant matrix on the right is one layer for all rows: Reshape, Gemm, Reshape. Gemm has a bias, and
  one exponent per output channel where the chip has that; Reshapes cost nothing.
- A constant matrix on the left is one on the right of the transposed product: W x = (xᵀ Wᵀ)ᵀ.
- Products of more than four dimensions have neighbouring batch dimensions merged, where both sides have them, or one
  side is repeated along all of them.

Exact: the same sums of the same products.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    add_constant,
    constant,
    each,
    graph_of,
    insert,
    is_constant,
    is_float,
    name_after,
    present,
    set_constant,
    shape_of,
    swap,
)
from tinsmith.graph.passes.reshapes import reshape, reshaped

_MOST = 4


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("MatMul",), _rewrite)


def _rewrite(node: ir.Node) -> bool:
    left, right = present(node, 0), present(node, 1)
    if not is_float(node.outputs[0]) or is_constant(left) == is_constant(right):
        return is_float(node.outputs[0]) and _merge(node)
    if is_constant(left):
        return _turn(node) or _merge(node)
    return _row(node) or _layer(node) or _merge(node)


def _matrix(shape: tuple[int, ...]) -> bool:
    """Whether a constant is one matrix, perhaps in more dimensions."""
    return len(shape) >= 2 and prod(shape[:-2]) == 1


def _row(node: ir.Node) -> bool:
    """X w with w one vector: a matrix of one column."""
    source, weights = shape_of(present(node, 0)), constant(present(node, 1))
    if weights is None or weights.ndim != 1:
        return False
    set_constant(node, 1, weights.reshape(-1, 1), f"{node.name}.weight")
    flat = reshaped(node, present(node, 0), (prod(source[:-1]), source[-1]), "rows")
    _restore(node, insert(node, "Gemm", [flat, present(node, 1)], (prod(source[:-1]), 1), name=f"{node.name}.product"))
    return True


def _layer(node: ir.Node) -> bool:
    """X W with x of any rank but 2, and W one matrix."""
    left, right = present(node, 0), present(node, 1)
    source, shape = shape_of(left), shape_of(right)
    if not _matrix(shape) or (len(source) == len(shape) == 2):
        return False
    if len(shape) > 2:
        weights = constant(right)
        assert weights is not None
        set_constant(node, 1, weights.reshape(shape[-2:]), f"{node.name}.weight")
        right = present(node, 1)
    if len(source) == 2 and len(shape_of(node.outputs[0])) == 2:
        return True
    flat = reshaped(node, left, (prod(source[:-1]), source[-1]), "rows")
    product = insert(node, "Gemm", [flat, right], (prod(source[:-1]), shape[-1]), name=f"{node.name}.product")
    _restore(node, product)
    return True


def _restore(node: ir.Node, product: ir.Value) -> None:
    """The product, in its own shape, in the place of a node; the product inherits its name."""
    name_after(reshape(node, product), product, "restored")


def _turn(node: ir.Node) -> bool:
    """W x with W one matrix."""
    left, right = present(node, 0), present(node, 1)
    weights, source = constant(left), shape_of(right)
    if weights is None or not _matrix(shape_of(left)) or len(source) < max(2, len(shape_of(left))):
        return False
    result = shape_of(node.outputs[0])
    turned = _transposed(node, right, source, "right")
    matrix = add_constant(graph_of(node), np.ascontiguousarray(weights.reshape(weights.shape[-2:]).T), f"{node.name}.w")
    shape = (*result[:-2], result[-1], result[-2])
    product = insert(node, "MatMul", [turned, matrix], shape, name=f"{node.name}.product")
    swap(node, "Transpose", [product], {"perm": _last_two(len(result))})
    return True


def _transposed(node: ir.Node, value: ir.Value, shape: tuple[int, ...], name: str) -> ir.Value:
    turned = (*shape[:-2], shape[-1], shape[-2])
    return insert(
        node, "Transpose", [value], turned, {"perm": _last_two(len(shape))}, name=f"{node.name}.{name}.transposed"
    )


def _last_two(rank: int) -> tuple[int, ...]:
    return (*range(rank - 2), rank - 1, rank - 2)


def _merge(node: ir.Node) -> bool:
    """Fewer batch dimensions."""
    left, right = present(node, 0), present(node, 1)
    shapes = shape_of(left), shape_of(right)
    rank = max(len(shapes[0]), len(shapes[1]))
    if rank <= _MOST or min(len(shapes[0]), len(shapes[1])) < 2:
        return False
    first, second = ((1,) * (rank - len(shape)) + shape for shape in shapes)
    batches = [(a, b) for a, b in zip(first[:-2], second[:-2], strict=True) if (a, b) != (1, 1)]
    merged: list[tuple[int, int]] = []
    for a, b in batches:
        if merged and (merged[-1][0] == 1, merged[-1][1] == 1) == (a == 1, b == 1):
            merged[-1] = (merged[-1][0] * a, merged[-1][1] * b)
        else:
            merged.append((a, b))
    if len(merged) > _MOST - 2:
        return False
    flat = [
        reshaped(node, value, (*(pair[side] for pair in merged), *padded[-2:]), f"operand{side}")
        for side, value, padded in ((0, left, first), (1, right, second))
    ]
    shape = (*(max(pair) for pair in merged), first[-2], second[-1])
    _restore(node, insert(node, "MatMul", flat, shape, name=f"{node.name}.product"))
    return True
