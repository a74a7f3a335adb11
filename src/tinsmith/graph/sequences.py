"""Sequences of tensors whose length and indices are known become the tensors themselves.

Exporters write them for Python lists: SequenceConstruct, SplitToSequence and SequenceInsert make them, SequenceAt,
SequenceLength and ConcatFromSequence read them. A sequence of known length is a list of values here; whoever reads it
gets the value at its index, or all of them concatenated. The same tensors in the same places: equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from tinsmith.graph import provenance
from tinsmith.graph.edit import (
    add_constant,
    constant,
    discard,
    fresh,
    get_int,
    graph_of,
    input_of,
    integers,
    known_shape,
)

Values = list[ir.Value]
_MOST = 4096


def resolve(graph: ir.Graph) -> bool:
    """Replaces what reads known sequences; tells whether anything changed."""
    known: dict[ir.Value, Values] = {}
    changed = False
    for node in tuple(graph):
        if node.domain not in ("", "ai.onnx") or node.graph is not graph:
            continue
        if node.op_type in _MAKERS:
            made = _MAKERS[node.op_type](node, known)
            if made is not None and len(made) <= _MOST:
                known[node.outputs[0]] = made
        elif node.op_type in _READERS and input_of(node, 0) in known:
            result = _READERS[node.op_type](node, known[node.inputs[0]])  # type: ignore[index]
            if result is not None:
                _give(node, result)
                changed = True
    for value in reversed(known):
        maker = value.producer()
        if maker is not None:
            discard(maker)
    return changed


def _construct(node: ir.Node, known: Mapping[ir.Value, Values]) -> Values | None:
    return [value for value in node.inputs if value is not None]


def _empty(node: ir.Node, known: Mapping[ir.Value, Values]) -> Values | None:
    return []


def _same(node: ir.Node, known: Mapping[ir.Value, Values]) -> Values | None:
    source = input_of(node, 0)
    return None if source is None else known.get(source)


def _insert(node: ir.Node, known: Mapping[ir.Value, Values]) -> Values | None:
    values, new = _same(node, known), input_of(node, 1)
    if values is None or new is None:
        return None
    place = _place(node, 2, len(values), len(values) + 1)
    return None if place is None else [*values[:place], new, *values[place:]]


def _erase(node: ir.Node, known: Mapping[ir.Value, Values]) -> Values | None:
    values = _same(node, known)
    place = None if not values else _place(node, 1, len(values) - 1, len(values))
    return None if values is None or place is None else [*values[:place], *values[place + 1 :]]


def _split(node: ir.Node, known: Mapping[ir.Value, Values]) -> Values | None:
    source, given = input_of(node, 0), input_of(node, 1)
    shape = None if source is None else known_shape(source)
    axis = get_int(node, "axis", 0)
    if source is None or not shape or not -len(shape) <= axis < len(shape):
        return None
    extent, sizes = shape[axis], None if given is None else integers(given)
    if given is not None and sizes is None:
        return None
    if sizes is None:
        lengths = [1] * extent
    elif given is not None and not (known_shape(given) or ()):
        if sizes[0] < 1:
            return None
        lengths = [min(sizes[0], extent - start) for start in range(0, extent, sizes[0])]
    else:
        lengths = list(sizes)
    if len(lengths) > _MOST or sum(lengths) != extent:
        return None
    sized = add_constant(graph_of(node), np.array(lengths), f"{node.name}_lengths")
    parts = _new(node, "Split", [source, sized], len(lengths), axis=axis)
    if given is None and not get_int(node, "keepdims", 1):
        axes = add_constant(graph_of(node), np.array([axis]), f"{node.name}_axes")
        return [_new(node, "Squeeze", [part, axes])[0] for part in parts]
    return parts


def _at(node: ir.Node, values: Values) -> ir.Value | None:
    place = _place(node, 1, -1, len(values))
    return None if place is None else values[place]


def _length(node: ir.Node, values: Values) -> ir.Value | None:
    return add_constant(graph_of(node), np.array(len(values)), node.outputs[0].name or "length")


def _concat(node: ir.Node, values: Values) -> ir.Value | None:
    if not values:
        return None
    axis, parts = get_int(node, "axis", 0), values
    if get_int(node, "new_axis", 0):
        axes = add_constant(graph_of(node), np.array([axis]), f"{node.name}_axes")
        parts = [_new(node, "Unsqueeze", [value, axes])[0] for value in values]
    return _new(node, "Concat", parts, axis=axis)[0]


def _place(node: ir.Node, index: int, default: int, count: int) -> int | None:
    """A constant index that is in a sequence of so many values, from its front."""
    given = input_of(node, index)
    if given is None:
        return default
    array = constant(given)
    if array is None or array.size != 1:
        return None
    place = int(array.reshape(-1)[0])
    return place % count if count and -count <= place < count else None


def _new(node: ir.Node, op_type: str, inputs: Sequence[ir.Value], outputs: int = 1, **attributes: int) -> Values:
    graph = graph_of(node)
    name = fresh(graph, f"{node.name}/{op_type}")
    listed = [ir.AttrInt64(key, value) for key, value in attributes.items()]
    new = ir.Node("", op_type, inputs, listed, num_outputs=outputs, name=name)
    for number, value in enumerate(new.outputs):
        value.name = fresh(graph, f"{name}_{number}")
    graph.insert_before(node, new)
    provenance.inherit(new, node)
    return list(new.outputs)


def _give(node: ir.Node, result: ir.Value) -> None:
    old = node.outputs[0]
    name, old.name = old.name, None
    (value,) = _new(node, "Identity", [result])
    value.name, value.type, value.shape = name or value.name, result.type, old.shape
    old.replace_all_uses_with(value, replace_graph_outputs=True)
    discard(node)


_MAKERS: Mapping[str, Callable[[ir.Node, Mapping[ir.Value, Values]], Values | None]] = MappingProxyType(
    {
        "SequenceConstruct": _construct,
        "SequenceEmpty": _empty,
        "SequenceInsert": _insert,
        "SequenceErase": _erase,
        "SplitToSequence": _split,
        "Identity": _same,
    }
)
_READERS: Mapping[str, Callable[[ir.Node, Values], ir.Value | None]] = MappingProxyType(
    {"SequenceAt": _at, "SequenceLength": _length, "ConcatFromSequence": _concat}
)
