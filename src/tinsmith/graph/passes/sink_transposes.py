"""Removes the Transposes between channels-first and channels-last parts of a graph.

Exports from TensorFlow and JAX wrap each convolution in Transposes, because everything around it counts channels last.
What is around it mostly does not care: element-wise operators, Concat, Split, Pad, Slice, reductions and Softmax along
an axis do the same on permuted tensors if their axes and constants are permuted along.

A *region* is a connected set of such nodes. Seen from its border, permuting a whole region removes a Transpose wherever
one leads into it or out of it with the right permutation, and costs one wherever another value enters or leaves.
Regions are permuted while that removes more Transposes than it costs, or as many if the region counts channels last and
nothing before it is transposed: so scales and shifts of a channels-last input come to stand next to the convolution
behind them. Every step leaves fewer Transposes, or as many and fewer regions of that kind: it ends. Exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from tinsmith.graph.edit import (
    discard,
    fresh,
    graph_of,
    insert,
    is_constant,
    present,
    producer,
    set_attributes,
    shape_of,
)
from tinsmith.graph.passes.reshapes import keeps_order
from tinsmith.graph.passes.transposes import perm_of
from tinsmith.graph.permute import Perm, is_movable, layout_inputs, permute_constant, permute_node

Region = dict[ir.Node, None]


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = False
    # Permuting one region changes the border of its neighbours: look again until none gains.
    while sum(_improve(region) for region in _regions(graph)):
        changed = True
    return changed


def _regions(graph: ir.Graph) -> Iterator[Region]:
    """Connected movable nodes next to at least one Transpose, in the order of the graph.

    Regions may be permuted while this goes on: that adds and removes Transposes only.
    """
    seen: Region = {}
    place = {node: index for index, node in enumerate(graph)}
    for start in place:
        if start in seen or not is_movable(start) or not _perms((start,)):
            continue
        region: Region = {}
        pending = [start]
        while pending:
            node = pending.pop()
            if node in region:
                continue
            region[node] = None
            pending.extend(_neighbours(node))
        seen |= region
        yield dict.fromkeys(sorted(region, key=place.__getitem__))


def _neighbours(node: ir.Node) -> Iterator[ir.Node]:
    for value in layout_inputs(node):
        before = value.producer()
        if before is not None and is_movable(before):
            yield before
    for value in node.outputs:
        for after in value.consumers():
            if is_movable(after) and any(value is operand for operand in layout_inputs(after)):
                yield after


def inverse(perm: Perm) -> Perm:
    """The perm that undoes one."""
    return tuple(perm.index(axis) for axis in range(len(perm)))


def compose(first: Perm, second: Perm) -> Perm:
    """The perm of two Transposes in a row."""
    return tuple(first[axis] for axis in second)


def _perms(nodes: Iterable[ir.Node]) -> dict[Perm, None]:
    """What Transposes at the border offer: P such that an input is P of something, or an output is undone by one."""
    found: dict[Perm, None] = {}
    for node in nodes:
        for value in layout_inputs(node):
            before = producer(value, "Transpose")
            if before is not None:
                found[perm_of(before)] = None
        for value in node.outputs:
            for after in value.consumers():
                if after.op_type == "Transpose":
                    found[inverse(perm_of(after))] = None
    return found


def _improve(region: Region) -> bool:
    """Permutes the region by the perm that gains most, if any does."""
    ranked = sorted((_gain(region, perm), _starts_channels_last(region, perm), perm) for perm in _perms(region))
    if not ranked or ranked[-1][:2] <= (0, False):
        return False
    _permute(region, ranked[-1][2])
    return True


def _starts_channels_last(region: Region, perm: Perm) -> bool:
    """Whether the region counts channels last, and nothing that enters it came through a Transpose."""
    last = len(perm) >= 4 and perm == (0, *range(2, len(perm)), 1)
    return last and not any(producer(value, "Transpose") for value in _entering(region))


def _gain(region: Region, perm: Perm) -> int:
    """Transposes saved if the region worked on tensors x where it works on Transpose(x, perm) now."""
    back, gain = inverse(perm), 0
    for value in _entering(region):
        before = producer(value, "Transpose")
        if before is None:
            gain -= _weight(shape_of(value), back)
            continue
        source = shape_of(present(before, 0))
        if all(node in region for node in value.consumers()) and not value.is_graph_output():
            gain += _weight(source, perm_of(before))
        gain -= _weight(source, compose(perm_of(before), back))
    for value in _leaving(region):
        outside = [node for node in value.consumers() if node not in region]
        transposes = [node for node in outside if node.op_type == "Transpose"]
        inside = tuple(shape_of(value)[axis] for axis in back)
        for node in transposes:
            gain += _weight(shape_of(value), perm_of(node)) - _weight(inside, compose(perm, perm_of(node)))
        if value.is_graph_output() or len(transposes) < len(outside):
            gain -= _weight(inside, perm)
    return gain


def _weight(shape: tuple[int, ...], perm: Perm) -> int:
    """A Transpose counts unless it leaves the elements in their order."""
    return 0 if keeps_order(shape, perm) else 1


def _entering(region: Region) -> dict[ir.Value, None]:
    """Computed values and graph inputs that enter the region."""
    return {
        value: None
        for node in region
        for value in layout_inputs(node)
        if value.producer() not in region and not is_constant(value)
    }


def _leaving(region: Region) -> dict[ir.Value, None]:
    return {
        value: None
        for node in region
        for value in node.outputs
        if value.is_graph_output() or any(user not in region for user in value.consumers())
    }


def _permute(region: Region, perm: Perm) -> None:
    """Lets a region work on tensors x where it worked on Transpose(x, perm)."""
    back = inverse(perm)
    entering: dict[ir.Value, ir.Value] = {}
    for node in region:
        for index in _layout_indices(node):
            value = present(node, index)
            if is_constant(value):
                permute_constant(node, index, back)
            elif value.producer() not in region:
                if value not in entering:
                    entering[value] = _transpose(node, value, back)
                node.replace_input_with(index, entering[value])
    for value in entering:
        before = value.producer()
        if before is not None:
            discard(before)
    for node in region:
        permute_node(node, perm)
        for value in node.outputs:
            shape = shape_of(value)
            value.shape = ir.Shape([shape[axis] for axis in back])
    for value in _leaving(region):
        _restore(value, region, perm)


def _transpose(before: ir.Node, value: ir.Value, perm: Perm) -> ir.Value:
    """A Transpose of a value: of its source where it is one itself, or just that source."""
    first, name = producer(value, "Transpose"), f"{value.name}.transposed"
    if first is not None:
        value, perm = present(first, 0), compose(perm_of(first), perm)
    if perm == tuple(range(len(perm))):
        return value
    shape = shape_of(value)
    return insert(before, "Transpose", [value], [shape[axis] for axis in perm], {"perm": perm}, name=name)


def _layout_indices(node: ir.Node) -> list[int]:
    laid_out = set(layout_inputs(node))
    return [index for index, value in enumerate(node.inputs) if value in laid_out]


def _restore(value: ir.Value, region: Region, perm: Perm) -> None:
    """Gives those outside the region what they had: the value before it was permuted."""
    outside = [(use.node, use.idx) for use in value.uses() if use.node not in region]
    for user, _ in outside:
        if user.op_type == "Transpose":
            set_attributes(user, {"perm": compose(perm, perm_of(user))})
    outside = [(user, index) for user, index in outside if user.op_type != "Transpose"]
    if not outside and not value.is_graph_output():
        return
    node = value.producer()
    assert node is not None
    graph, shape, name = graph_of(node), shape_of(value), value.name or ""
    restored = ir.Node("", "Transpose", [value], [ir.AttrInt64s("perm", perm)], name=fresh(graph, f"{name}.restored"))
    output = restored.outputs[0]
    output.type, output.shape = value.type, ir.Shape([shape[axis] for axis in perm])
    output.name, value.name = name, fresh(graph, f"{name}.transposed")
    graph.insert_after(node, restored)
    if value.is_graph_output():
        graph.outputs[list(graph.outputs).index(value)] = output
    for user, index in outside:
        user.replace_input_with(index, output)
