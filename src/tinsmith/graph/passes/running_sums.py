"""CumSum along a constant axis is a product with a triangular matrix of ones.

The sums of one row are one dot product each, exact in integers before the one rounding. Other axes than the last get
Transposes around. Longer axes than `LONGEST` stay: the matrix has their square of elements. Equal up to the order of
float additions.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    add_constant,
    each,
    get_int,
    graph_of,
    input_of,
    insert,
    integers,
    is_float,
    present,
    shape_of,
    swap,
)

ENABLES: tuple[str, ...] = ("CumSum",)
LONGEST = 512


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("CumSum",), _rewrite)


def _rewrite(node: ir.Node) -> bool:
    source, axes = present(node, 0), integers(input_of(node, 1))
    shape = shape_of(source)
    if axes is None or len(axes) != 1 or not shape or not is_float(source):
        return False
    axis = axes[0] % len(shape)
    length = shape[axis]
    if length > LONGEST:
        return False
    graph, name = graph_of(node), node.name or "CumSum"
    ones = np.triu(np.ones((length, length), np.float32), int(bool(get_int(node, "exclusive", 0))))
    if get_int(node, "reverse", 0):
        ones = ones.T
    matrix = add_constant(graph, np.ascontiguousarray(ones), f"{name}.ones")
    if len(shape) == 1:
        row = add_constant(graph, np.array([1, length], dtype=np.int64), f"{name}.row")
        source = insert(node, "Reshape", [source, row], (1, length), name=f"{name}.rows")
        total = insert(node, "MatMul", [source, matrix], (1, length), name=f"{name}.sums")
        swap(node, "Reshape", [total, add_constant(graph, np.array([length], dtype=np.int64), f"{name}.shape")])
    elif axis == len(shape) - 1:
        swap(node, "MatMul", [source, matrix])
    else:
        perm = [place for place in range(len(shape)) if place != axis] + [axis]
        moved = tuple(shape[place] for place in perm)
        last = insert(node, "Transpose", [source], moved, {"perm": perm}, name=f"{name}.last")
        total = insert(node, "MatMul", [last, matrix], moved, name=f"{name}.sums")
        swap(node, "Transpose", [total], {"perm": [int(place) for place in np.argsort(perm)]})
    return True
