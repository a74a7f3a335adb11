"""Clips of a scaled and shifted x are HardSigmoid: max(0, min(1, alpha · x + beta)).

Matched: c · clip(a · x + b, 0, 1/c), as in relu6(x + 3) / 6, and clip(a · x + b, 0, 1) with a shift, whatever the order
of the constants. Equal up to the rounding of the constants (one part in 10^5) and of float operations.
"""

from __future__ import annotations

import math

import onnx_ir as ir

from tinsmith.graph.edit import each, present, producer, swap
from tinsmith.graph.expressions import near, scalar_affine
from tinsmith.graph.passes.clip import bounds


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Mul", "Div"), _scaled) | each(graph, ("Clip",), _bare)


def _scaled(node: ir.Node) -> bool:
    inner, factor, shift = scalar_affine(node.outputs[0])
    clip = producer(inner, "Clip")
    if clip is None or shift or factor <= 0:
        return False
    return _fuse(node, clip, factor)


def _bare(node: ir.Node) -> bool:
    return _fuse(node, node, 1.0)


def _fuse(node: ir.Node, clip: ir.Node, factor: float) -> bool:
    limits = bounds(clip)
    if limits is None or limits[0] != 0 or math.isinf(limits[1]) or not near(factor * limits[1], 1.0):
        return False
    source, a, b = scalar_affine(present(clip, 0))
    if a == 0 or b == 0:
        return False
    swap(node, "HardSigmoid", [source], {"alpha": factor * a, "beta": factor * b})
    return True
