"""LpPool and GlobalLpPool for p = 1 and 2.

GlobalLpPool is ReduceL1 or ReduceL2 over the spatial dimensions. LpPool is the sum of |x| or x² over each window, a
depthwise Conv with ones for weights (which every integer format holds exactly), and the root of it for p = 2. Padding
adds nothing. Equal up to rounding; other p stay and are refused.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    add_constant,
    each,
    get_int,
    graph_of,
    insert,
    present,
    shape_of,
    swap,
)
from tinsmith.graph.pooling import is_explicit, pool_attributes, windows_of

ENABLES = ("LpPool", "GlobalLpPool")


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("GlobalLpPool",), _global) | each(graph, ("LpPool",), _windows)


def _global(node: ir.Node) -> bool:
    source, p = present(node, 0), get_int(node, "p", 2)
    if p not in (1, 2):
        return False
    axes = np.arange(2, len(shape_of(source)), dtype=np.int64)
    swap(node, f"ReduceL{p}", [source, add_constant(graph_of(node), axes, f"{node.name}.axes")], {"keepdims": 1})
    return True


def _windows(node: ir.Node) -> bool:
    source, p = present(node, 0), get_int(node, "p", 2)
    if p not in (1, 2) or not is_explicit(node):
        return False
    shape, walks, graph = shape_of(source), windows_of(node), graph_of(node)
    inputs = [source] if p == 1 else [source, source]
    powers = insert(node, "Abs" if p == 1 else "Mul", inputs, shape, name=f"{node.name}.powers")
    ones = np.ones((shape[1], 1, *(walk.kernel for walk in walks)), np.float32)
    operands = [powers, add_constant(graph, ones, f"{node.name}.ones")]
    ends = tuple(max(0, int(walk.taps.max()) + 1 - walk.length) for walk in walks)
    used = tuple(replace(walk, end=end) for walk, end in zip(walks, ends, strict=True))
    attributes = {**pool_attributes(used), "dilations": tuple(walk.dilation for walk in walks), "group": shape[1]}
    if p == 1:
        swap(node, "Conv", operands, attributes)
        return True
    total = insert(node, "Conv", operands, shape_of(node.outputs[0]), attributes, name=f"{node.name}.sums")
    swap(node, "Sqrt", [total])
    return True
