"""Takes parts of joined tensors from where they came from.

A Slice or Gather of what a Concat put together, that takes exactly one of the parts, is that part, in another shape.
The joined tensor goes where nobody else uses it: all steps of a layer spelled out of which only the last is wanted, for
one. Exact.
"""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from tinsmith.graph.edit import each, producer, shape_of
from tinsmith.graph.elements import origin, whole
from tinsmith.graph.passes.reshapes import reshape

_LARGEST = 1 << 16


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Slice", "Gather"), _take)


def _take(node: ir.Node) -> bool:
    if not _joined(node) or prod(shape_of(node.outputs[0])) > _LARGEST:
        return False
    found = origin(whole(node.outputs[0]))
    if not found.is_whole or found.value.producer() is None:
        return False
    reshape(node, found.value)
    return True


def _joined(node: ir.Node) -> bool:
    """Whether a Concat stands before a node, with nothing but changes of shape between."""
    found = producer(node.inputs[0])
    while found is not None and found.op_type in ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose"):
        found = producer(found.inputs[0])
    return found is not None and found.op_type == "Concat"
