"""LpPool and GlobalLpPool: (Σ |x|^p)^(1/p).

The sum over windows is a depthwise Conv with ones for weights, which every integer format holds exactly; padding adds
nothing. The powers are Abs for p = 1, Mul and Sqrt for p = 2, Pow for others. GlobalLpPool is ReduceL1, ReduceL2, or
ReduceSum between the powers. Equal up to rounding. Pools over three dimensions stay and are refused.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    Attribute,
    add_constant,
    each,
    get_int,
    graph_of,
    insert,
    name_after,
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
    axes = add_constant(graph_of(node), np.arange(2, len(shape_of(source)), dtype=np.int64), f"{node.name}.axes")
    if p in (1, 2):
        swap(node, f"ReduceL{p}", [source, axes], {"keepdims": 1})
    else:
        _rooted(node, p, "ReduceSum", [_powers(node, source, p), axes], {"keepdims": 1})
    return True


def _windows(node: ir.Node) -> bool:
    source, p = present(node, 0), get_int(node, "p", 2)
    if not is_explicit(node):
        return False
    shape, walks = shape_of(source), windows_of(node)
    ones = np.ones((shape[1], 1, *(walk.kernel for walk in walks)), np.float32)
    weights = add_constant(graph_of(node), ones, f"{node.name}.ones")
    ends = (max(0, int(walk.taps.max()) + 1 - walk.length) for walk in walks)
    used = tuple(replace(walk, end=end) for walk, end in zip(walks, ends, strict=True))
    attributes = {**pool_attributes(used), "dilations": tuple(walk.dilation for walk in walks), "group": shape[1]}
    _rooted(node, p, "Conv", [_powers(node, source, p), weights], attributes)
    return True


def _powers(node: ir.Node, source: ir.Value, p: int) -> ir.Value:
    """|x|^p."""
    shape, name = shape_of(source), f"{node.name}.powers"
    if p == 2:
        return insert(node, "Mul", [source, source], shape, name=name)
    magnitudes = insert(node, "Abs", [source], shape, name=name)
    return magnitudes if p == 1 else insert(node, "Pow", [magnitudes, _number(node, p)], shape, name=name)


def _rooted(node: ir.Node, p: int, op_type: str, operands: list[ir.Value], attributes: dict[str, Attribute]) -> None:
    """Puts the p-th root of a sum in the place of the node."""
    if p == 1:
        swap(node, op_type, operands, attributes)
        return
    total = insert(node, op_type, operands, shape_of(node.outputs[0]), attributes, name=f"{node.name}.sums")
    root = swap(node, "Sqrt", [total]) if p == 2 else swap(node, "Pow", [total, _number(node, 1 / p)])
    name_after(root, total, "root")


def _number(node: ir.Node, value: float) -> ir.Value:
    return add_constant(graph_of(node), np.array(value, np.float32), f"{node.name}.power")
