"""Computes only once what is computed twice: same operator, same inputs, same attributes.

Constants count as the same where their elements are. Outputs of the graph stay separate. Exact.
"""

from __future__ import annotations

from collections.abc import Hashable

import onnx_ir as ir

from tinsmith.graph.edit import constant, is_constant, replace

_LARGEST = 1024


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    seen: dict[Hashable, ir.Node] = {}
    changed = False
    for node in tuple(graph):
        key = (
            node.op_type,
            len(node.outputs),
            tuple(map(_identity, node.inputs)),
            tuple(sorted((name, _plain(attribute)) for name, attribute in node.attributes.items())),
        )
        first = seen.setdefault(key, node)
        if first is node or node.op_type.startswith("Random"):
            continue
        if any(value.is_graph_output() for value in (*node.outputs, *first.outputs)):
            continue
        for old, new in zip(node.outputs, first.outputs, strict=True):
            if old.uses():
                changed |= replace(old, new)
    return changed


def _identity(value: ir.Value | None) -> Hashable:
    if value is None or not is_constant(value):
        return id(value)
    tensor = value.const_value
    if tensor is None or tensor.nbytes > _LARGEST:
        return id(value)
    array = constant(value)
    assert array is not None
    return str(array.dtype), array.shape, array.tobytes()


def _plain(attribute: ir.Attr) -> str:
    return repr(attribute.value) if attribute.type != ir.AttributeType.TENSOR else f"tensor at {id(attribute.value)}"
