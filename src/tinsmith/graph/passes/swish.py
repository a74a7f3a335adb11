"""x · sigmoid(x) is Swish (SiLU), and so is x / (1 + exp(-x)).

Swish has been an ONNX operator since opset 24; no exporter writes it yet. A factor inside the sigmoid is left alone:
the runtime's Swish has none. Equal up to the rounding of one float operation.
"""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.graph.edit import each, operands, present, producer, swap
from tinsmith.graph.passes.sigmoid import one_plus_exp


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Mul", "Div"), _fuse)


def _fuse(node: ir.Node) -> bool:
    terms = operands(node)
    if node.op_type == "Div":
        source = one_plus_exp(terms[1])
        matched = source is terms[0]
    else:
        pairs = [(x, producer(gate, "Sigmoid")) for x, gate in (terms, terms[::-1])]
        source = next((x for x, gate in pairs if gate is not None and present(gate, 0) is x), None)
        matched = source is not None
    if source is None or not matched:
        return False
    swap(node, "Swish", [source])
    return True
