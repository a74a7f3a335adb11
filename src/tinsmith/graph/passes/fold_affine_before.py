"""Folds scales and shifts in front of Conv, ConvTranspose, Gemm and MatMul into weights and bias.

W (s · x + t) + b = (W s) x + (W t + b), per input channel. A shift is folded only where no padding adds zeros that it
would have to be added to. Covers normalized inputs ((x - mean) / std) and BatchNormalization in front of a layer. Only
where nobody else sees the scaled input. Computed in double precision: equal up to the rounding of the new weights.
"""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.graph import affine, linear
from tinsmith.graph.edit import each, only_user, present, producer, replace


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, linear.KINDS, _fold)


def _fold(node: ir.Node) -> bool:
    source = present(node, 0)
    before = producer(source, *affine.KINDS)
    if before is None or only_user(source) is not node or not linear.is_linear(node):
        return False
    found = affine.read(before)
    vectors = None if found is None else found.along(linear.channel_axis(node))
    if found is None or vectors is None or not linear.scale_inputs(node, *vectors):
        return False
    return replace(source, found.source)
