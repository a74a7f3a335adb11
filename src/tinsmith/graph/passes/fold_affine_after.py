"""Folds scales and shifts behind Conv, ConvTranspose, Gemm and MatMul into weights and bias.

s · (W x + b) + t = (s W) x + (s b + t), per output channel. Covers BatchNormalization and its spellings as Mul, Div,
Add and Sub with constants, scalar or per channel. Only where nobody else sees the unscaled result. Computed in double
precision: equal up to the rounding of the new weights.
"""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.graph import affine, linear
from tinsmith.graph.edit import each, only_user, producer, replace


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, affine.KINDS, _fold)


def _fold(node: ir.Node) -> bool:
    found = affine.read(node)
    before = None if found is None else producer(found.source, *linear.KINDS)
    if found is None or before is None or only_user(found.source) is not node or not linear.is_linear(before):
        return False
    vectors = found.along(linear.channel_axis(before))
    if vectors is None or not linear.scale_outputs(before, *vectors):
        return False
    return replace(node.outputs[0], before.outputs[0], keep_name=True)
