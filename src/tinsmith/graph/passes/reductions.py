"""Sums of functions, and functions of sums, become the reductions that the runtime has.

- Σ |x| and Σ x² (a product or Pow): ReduceL1 and ReduceSumSquare;
- √ of ReduceSumSquare: ReduceL2;
- log of ReduceSum: ReduceLogSum; that of exp: ReduceLogSumExp.

Equal by definition. The runtime adds in 32 bits or float32 and rounds once, at the end; as nodes of their own, squares
and exponentials are rounded to the format of the largest.
"""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.graph.edit import each, get_int, input_of, is_float, only_user, present, producer, scalar, shape_of, swap

_DEFAULTS = {"keepdims": 1, "noop_with_empty_axes": 0}


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("ReduceSum",), _sum_of)
    changed |= each(graph, ("Sqrt", "Log"), _of_sum)
    return changed | each(graph, ("ReduceLogSum",), _log_sum_of)


def _sum_of(node: ir.Node) -> bool:
    inner = producer(present(node, 0), "Abs", "Mul", "Pow")
    if inner is None or only_user(inner.outputs[0]) is not node or not _is_square(inner):
        return False
    if not is_float(node.outputs[0]) or shape_of(inner.outputs[0]) != shape_of(present(inner, 0)):
        return False
    return _reduce(node, node, "ReduceL1" if inner.op_type == "Abs" else "ReduceSumSquare", present(inner, 0))


def _is_square(node: ir.Node) -> bool:
    if node.op_type == "Mul":
        return present(node, 0) is present(node, 1)
    return node.op_type == "Abs" or scalar(present(node, 1)) == 2


def _of_sum(node: ir.Node) -> bool:
    wanted, becomes = ("ReduceSumSquare", "ReduceL2") if node.op_type == "Sqrt" else ("ReduceSum", "ReduceLogSum")
    inner = producer(present(node, 0), wanted)
    if inner is None or only_user(inner.outputs[0]) is not node:
        return False
    return _reduce(node, inner, becomes, present(inner, 0))


def _log_sum_of(node: ir.Node) -> bool:
    inner = producer(present(node, 0), "Exp")
    if inner is None or only_user(inner.outputs[0]) is not node:
        return False
    return _reduce(node, node, "ReduceLogSumExp", present(inner, 0))


def _reduce(node: ir.Node, like: ir.Node, op_type: str, source: ir.Value) -> bool:
    """Puts a reduction over the axes of ``like`` in the place of a node."""
    attributes = {name: get_int(like, name, default) for name, default in _DEFAULTS.items() if name in like.attributes}
    swap(node, op_type, [source, input_of(like, 1)], attributes)
    return True
