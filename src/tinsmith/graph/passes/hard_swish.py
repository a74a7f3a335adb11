"""x · HardSigmoid(x) with alpha 1/6 and beta 1/2 is HardSwish.

Matched: x · HardSigmoid(x), and x · clip(x + 3, 0, 6) / 6 with the factors in any order. Equal up to the rounding of
the constants (one part in 10^5) and of float operations.
"""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.graph.edit import each, get_float, present, producer, swap
from tinsmith.graph.expressions import gated, near, scalar_affine
from tinsmith.graph.passes.clip import bounds


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Mul", "Div"), _fuse)


def _fuse(node: ir.Node) -> bool:
    for source, gate, factor in gated(node):
        if _is_gate(gate, source, factor):
            swap(node, "HardSwish", [source])
            return True
    return False


def _is_gate(gate: ir.Value, source: ir.Value, factor: float) -> bool:
    """Whether factor · gate is max(0, min(1, source / 6 + 1 / 2))."""
    node = producer(gate, "HardSigmoid", "Clip")
    if node is None:
        return False
    if node.op_type == "HardSigmoid":
        alpha, beta = get_float(node, "alpha", 0.2), get_float(node, "beta", 0.5)
        return present(node, 0) is source and near(factor, 1.0) and near(alpha, 1 / 6) and near(beta, 0.5)
    limits = bounds(node)
    inner, a, b = scalar_affine(present(node, 0))
    return (
        limits is not None
        and inner is source
        and limits[0] == 0
        and near(factor * limits[1], 1.0)
        and near(factor * a, 1 / 6)
        and near(factor * b, 0.5)
    )
