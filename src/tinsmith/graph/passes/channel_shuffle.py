"""Channel shuffles (ShuffleNet): Reshape to (N, groups, C/groups, …), exchange of the two, Reshape back.

Where what follows can take the channels in the old order (`tinsmith.graph.channel_order`), the shuffle goes into its
weights. Otherwise it keeps four dimensions, height and width as one: in channels-last order that is a single Transpose
of (H·W, groups, C/groups).

Where a shuffle is followed by taking one of its groups (Reshape to (C/groups, groups, H·W), exchange, Reshape, Gather
of one), that group is every groups-th channel: a Slice. Exact.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.channel_order import reorder
from tinsmith.graph.edit import (
    add_constant,
    constant,
    discard,
    each,
    get_int,
    get_ints,
    graph_of,
    input_of,
    insert,
    only_user,
    present,
    producer,
    replace,
    shape_of,
    swap,
)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Gather",), _group) | each(graph, ("Reshape",), _shuffle)


def _group(node: ir.Node) -> bool:
    """One group of a shuffle, numbered by a scalar index along the first dimension."""
    index, shape = constant(input_of(node, 1)), shape_of(node.outputs[0])
    outer = producer(present(node, 0), "Reshape")
    transpose = producer(present(outer, 0), "Transpose") if outer is not None else None
    apart = producer(present(transpose, 0), "Reshape") if transpose is not None else None
    if index is None or index.ndim or get_int(node, "axis", 0) or transpose is None or apart is None:
        return False
    source, split = present(apart, 0), shape_of(apart.outputs[0])
    if len(split) != 3 or len(shape) < 3 or get_ints(transpose, "perm", ()) != (1, 0, 2):
        return False
    channels, groups, _ = split
    wanted = (1, channels * groups, *shape[2:])
    if shape[:2] != (1, channels) or shape_of(source) != wanted or len(shape_of(present(node, 0))) != len(shape) + 1:
        return False
    rows = ([int(index) % groups], [channels * groups], [1], [groups])
    bounds = [add_constant(graph_of(node), np.array(row, np.int64), f"{node.name}.bounds") for row in rows]
    swap(node, "Slice", [source, *bounds])
    return True


def _shuffle(node: ir.Node) -> bool:
    turned = present(node, 0)
    transpose = producer(turned, "Transpose")
    apart = producer(present(transpose, 0), "Reshape") if transpose is not None else None
    if transpose is None or apart is None or only_user(turned) is not node:
        return False
    source, result = present(apart, 0), node.outputs[0]
    shape, split = shape_of(source), shape_of(apart.outputs[0])
    swapped = (0, 2, 1, *range(3, len(split)))
    if len(split) < 3 or len(shape) < 3 or get_ints(transpose, "perm", ()) != swapped or shape_of(result) != shape:
        return False
    if split[0] != shape[0] or split[1] * split[2] != shape[1]:
        return False
    # Channel i of the result is channel order[i] of the source.
    order = np.arange(shape[1]).reshape(split[1:3]).T.reshape(-1)
    if not result.is_graph_output() and reorder(result, np.argsort(order)):
        return replace(result, source)
    if len(split) <= 4:
        return False
    return _merge(node, source, split)


def _merge(node: ir.Node, source: ir.Value, split: tuple[int, ...]) -> bool:
    """Height, width and what else follows as one dimension."""
    batch, groups, each_group, *rest = split
    area = int(np.prod(rest, dtype=np.int64))
    old = present(node, 0)
    shape = np.array((batch, groups, each_group, area), dtype=np.int64)
    dims = add_constant(graph_of(node), shape, f"{node.name}.groups.shape")
    apart = insert(node, "Reshape", [source, dims], shape.tolist(), name=f"{node.name}.groups")
    turned = insert(
        node,
        "Transpose",
        [apart],
        (batch, each_group, groups, area),
        {"perm": (0, 2, 1, 3)},
        name=f"{node.name}.shuffled",
    )
    node.replace_input_with(0, turned)
    before = old.producer()
    if before is not None:
        discard(before)
    return True
