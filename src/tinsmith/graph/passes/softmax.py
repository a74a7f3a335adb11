"""Takes Softmax and LogSoftmax out of the reshapes around them.

Before opset 13 Softmax flattened its input; converters write that as Reshape (or Flatten), Softmax, Reshape back. A
Softmax over axis ``a`` of a shape treats the elements as ``outer × n × inner`` with n = shape[a]. Where the original
shape has an axis that splits its elements into the same three numbers, the Softmax over that axis is the same.
"""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from tinsmith.graph.edit import each, get_int, only_user, present, producer, shape_of, swap

_RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Softmax", "LogSoftmax"), _unwrap)


def _unwrap(node: ir.Node) -> bool:
    before = producer(present(node, 0), *_RESHAPES)
    after = only_user(node.outputs[0])
    if before is None or after is None or after.op_type not in _RESHAPES:
        return False
    source = present(before, 0)
    shape = shape_of(source)
    if shape_of(after.outputs[0]) != shape:
        return False
    inside = shape_of(present(node, 0))
    axis = get_int(node, "axis", -1) % len(inside)
    grouping = _split(inside, axis)
    found = next((a for a in range(len(shape)) if _split(shape, a) == grouping), None)
    if found is None:
        return False
    new = swap(after, node.op_type, [source], {"axis": found})
    new.name = node.name
    return True


def _split(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])
