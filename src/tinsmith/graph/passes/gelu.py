"""Gelu spelled out becomes Gelu.

- exact: x/2 · (1 + erf(x / √2)), with approximate = "none";
- with tanh: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))), with approximate = "tanh".

The products may stand in any order, the cube may be Pow or products, the half may be inside the sum. Equal up to the
rounding of the constants (one part in 10^5) and of float operations.
"""

from __future__ import annotations

import math

import onnx_ir as ir

from tinsmith.graph.edit import each, present, producer, swap
from tinsmith.graph.expressions import gated, is_polynomial, near, polynomial, scalar_affine

_EXACT = {1: 1 / math.sqrt(2)}
_TANH = {1: math.sqrt(2 / math.pi), 3: math.sqrt(2 / math.pi) * 0.044715}


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Mul", "Div"), _fuse)


def _fuse(node: ir.Node) -> bool:
    for source, gate, factor in gated(node):
        kind = _kind(gate, source, factor)
        if kind is not None:
            swap(node, "Gelu", [source], {"approximate": kind})
            return True
    return False


def _kind(gate: ir.Value, source: ir.Value, factor: float) -> str | None:
    """Which Gelu source · factor · gate is."""
    inner, scale, shift = scalar_affine(gate)
    function = producer(inner, "Erf", "Tanh")
    if function is None or not near(factor * scale, 0.5) or not near(factor * shift, 0.5):
        return None
    wanted = _EXACT if function.op_type == "Erf" else _TANH
    if not is_polynomial(polynomial(present(function, 0), source), wanted):
        return None
    return "none" if function.op_type == "Erf" else "tanh"
