"""Matrix products in one form.

- MatMul of a matrix with a constant matrix is Gemm: chips with one exponent per output channel have it for Gemm only.
- Gemm has alpha = beta = 1 and transA = transB = 0: factors and transposition go into its constants.
- Gemm's bias is a vector with one number per output column; one that differs between rows becomes an Add.
- Gemm with a computed right side is MatMul (and Add).

Equal up to the rounding of scaled constants.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.affine import channelwise
from tinsmith.graph.edit import (
    add_constant,
    constant,
    each,
    get_float,
    get_int,
    graph_of,
    input_of,
    insert,
    is_constant,
    is_float,
    present,
    set_attributes,
    set_constant,
    shape_of,
    swap,
)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("MatMul",), _from_matmul)
    return changed | each(graph, ("Gemm",), _normalize)


def _from_matmul(node: ir.Node) -> bool:
    left, right = present(node, 0), present(node, 1)
    if not (is_constant(right) and is_float(right) and len(shape_of(left)) == len(shape_of(right)) == 2):
        return False
    swap(node, "Gemm", [left, right])
    return True


def _normalize(node: ir.Node) -> bool:
    if not is_float(node.outputs[0]):
        return False
    if get_int(node, "transA", 0):
        left = present(node, 0)
        rows, columns = shape_of(left)
        name = f"{node.name}.transposed"
        node.replace_input_with(0, insert(node, "Transpose", [left], (columns, rows), {"perm": (1, 0)}, name=name))
        set_attributes(node, {"transA": None})
    if not is_constant(present(node, 1)):
        return _to_matmul(node)
    changed = _weights(node)
    changed |= _bias(node)
    return changed | set_attributes(node, dict.fromkeys(("transA", "transB", "alpha", "beta")))


def _weights(node: ir.Node) -> bool:
    transposed, alpha = get_int(node, "transB", 0), get_float(node, "alpha", 1.0)
    weights = constant(present(node, 1))
    if weights is None or not (transposed or alpha != 1):
        return False
    weights = weights.T if transposed else weights
    set_constant(node, 1, weights if alpha == 1 else (weights.astype(np.float64) * alpha).astype(np.float32))
    set_attributes(node, {"transB": None, "alpha": None})
    return True


def _bias(node: ir.Node) -> bool:
    """Makes the bias a constant vector; anything else becomes an Add behind the Gemm."""
    value, beta = input_of(node, 2), get_float(node, "beta", 1.0)
    if value is None:
        return False
    shape, bias = shape_of(node.outputs[0]), constant(value)
    vector = None if bias is None else channelwise(bias, shape, 1)
    if vector is None:
        factors = {"transB": get_int(node, "transB", 0), "alpha": get_float(node, "alpha", 1.0)}
        return _plus(node, insert(node, "Gemm", node.inputs[:2], shape, factors, name=f"{node.name}.product"))
    if beta == 1 and shape_of(value) == shape[1:]:
        return False
    set_constant(node, 2, (vector.astype(np.float64) * beta).astype(np.float32))
    set_attributes(node, {"beta": None})
    return True


def _to_matmul(node: ir.Node) -> bool:
    left, right = present(node, 0), present(node, 1)
    if get_int(node, "transB", 0):
        rows, columns = shape_of(right)
        right = insert(node, "Transpose", [right], (columns, rows), {"perm": (1, 0)}, name=f"{node.name}.right")
    left = _times(node, left, get_float(node, "alpha", 1.0), "alpha")
    if input_of(node, 2) is None:
        swap(node, "MatMul", [left, right])
        return True
    return _plus(node, insert(node, "MatMul", [left, right], shape_of(node.outputs[0]), name=f"{node.name}.product"))


def _plus(node: ir.Node, product: ir.Value) -> bool:
    """Puts product + beta · c in the place of a Gemm."""
    swap(node, "Add", [product, _times(node, present(node, 2), get_float(node, "beta", 1.0), "beta")])
    return True


def _times(node: ir.Node, value: ir.Value, factor: float, name: str) -> ir.Value:
    array = constant(value)
    if factor == 1:
        return value
    if array is not None:
        return add_constant(
            graph_of(node), (array.astype(np.float64) * factor).astype(np.float32), f"{node.name}.{name}"
        )
    number = add_constant(graph_of(node), np.array(factor, dtype=np.float32), f"{node.name}.{name}")
    return insert(node, "Mul", [value, number], shape_of(value), name=f"{node.name}.{name}")
