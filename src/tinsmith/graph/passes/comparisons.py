"""Comparisons joined or negated become the comparison they mean.

- a > b or a = b: GreaterOrEqual, likewise LessOrEqual; both of them at once: Equal;
- not a < b: GreaterOrEqual, and so for the others (Equal has no opposite here).

Exact for numbers; a NaN, which compares with nothing, cannot be on the chip.
"""

from __future__ import annotations

import onnx_ir as ir

from tinsmith.graph.edit import each, present, producer, swap

_MIRRORED = {
    "Greater": "Less",
    "Less": "Greater",
    "GreaterOrEqual": "LessOrEqual",
    "LessOrEqual": "GreaterOrEqual",
    "Equal": "Equal",
}
_OPPOSITE = {
    "Greater": "LessOrEqual",
    "Less": "GreaterOrEqual",
    "GreaterOrEqual": "Less",
    "LessOrEqual": "Greater",
}
_JOINED = {
    ("Or", frozenset(("Greater", "Equal"))): "GreaterOrEqual",
    ("Or", frozenset(("Less", "Equal"))): "LessOrEqual",
    ("And", frozenset(("GreaterOrEqual", "LessOrEqual"))): "Equal",
}


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("Or", "And"), _join)
    return changed | each(graph, ("Not",), _negate)


def _join(node: ir.Node) -> bool:
    first, second = (producer(present(node, index), *_MIRRORED) for index in (0, 1))
    if first is None or second is None:
        return False
    a, b = present(first, 0), present(first, 1)
    other = second.op_type
    if present(second, 0) is b and present(second, 1) is a:
        other = _MIRRORED[other]
    elif present(second, 0) is not a or present(second, 1) is not b:
        return False
    meaning = _JOINED.get((node.op_type, frozenset((first.op_type, other))))
    if meaning is None:
        return False
    swap(node, meaning, [a, b])
    return True


def _negate(node: ir.Node) -> bool:
    inner = producer(present(node, 0), *_OPPOSITE)
    if inner is None:
        return False
    swap(node, _OPPOSITE[inner.op_type], [present(inner, 0), present(inner, 1)])
    return True
