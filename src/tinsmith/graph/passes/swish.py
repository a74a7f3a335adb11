"""x · sigmoid(x) is Swish (SiLU), and so is x / (1 + exp(-x)).

Swish has been an ONNX operator since opset 24; no exporter writes it yet. A factor inside the sigmoid is left alone:
the runtime's Swish has none, so that ONNX's Swish with a factor is spelled out instead, and becomes one table with it
(`tinsmith.graph.functions`). Equal up to the rounding of one float operation.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    add_constant,
    each,
    get_float,
    graph_of,
    insert,
    present,
    producer,
    shape_of,
    swap,
)
from tinsmith.graph.expressions import gated
from tinsmith.graph.passes.sigmoid import one_plus_exp


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Mul", "Div"), _fuse) | each(graph, ("Swish",), _with_factor)


def _fuse(node: ir.Node) -> bool:
    for source, gate, factor in gated(node):
        sigmoid = producer(gate, "Sigmoid")
        if sigmoid is not None and present(sigmoid, 0) is source and factor == 1.0:
            swap(node, "Swish", [source])
            return True
    if node.op_type == "Div" and one_plus_exp(present(node, 1)) is node.inputs[0]:
        swap(node, "Swish", [present(node, 0)])
        return True
    return False


def _with_factor(node: ir.Node) -> bool:
    alpha, source = get_float(node, "alpha", 1.0), present(node, 0)
    if alpha == 1.0:
        return False
    shape, name = shape_of(source), node.name or "Swish"
    factor = add_constant(graph_of(node), np.array(alpha, dtype=np.float32), f"{name}.alpha")
    scaled = insert(node, "Mul", [source, factor], shape, name=f"{name}.scaled")
    gate = insert(node, "Sigmoid", [scaled], shape, name=f"{name}.gate")
    swap(node, "Mul", [source, gate])
    return True
