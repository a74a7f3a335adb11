"""Reading and changing an `onnx_ir` graph: the few moves every rewrite is made of.

Rewrites run on graphs whose every value has a static shape and a type, and whose constants are all initializers
(`tinsmith.graph.canonical` sees to both). They keep it so: whoever adds a value gives its shape. Nodes that nobody
uses any more are removed at once, so that "the only user" means what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinsmith.errors import ModelError
from tinsmith.graph import provenance

REDUCTIONS = (
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceSumSquare",
)
"""Operators that reduce over the axes of input 1."""

Array = NDArray[Any]
Attribute = int | float | str | Sequence[int] | Sequence[float]
_NAMES = "tinsmith.names"


def shape_of(value: ir.Value) -> tuple[int, ...]:
    """The static shape of a value.

    Raises:
        TypeError: A dimension is not known.
    """
    dims = known_shape(value)
    if dims is None:
        raise TypeError(f"the shape of {value.name!r} is not known: {value.shape}")
    return dims


def known_shape(value: ir.Value) -> tuple[int, ...] | None:
    """The static shape of a value, None where a dimension is not known."""
    if value.shape is None or not value.shape.is_static():
        return None
    return tuple(int(dim) for dim in value.shape)  # type: ignore[arg-type]


def is_float(value: ir.Value) -> bool:
    """Whether a value holds float32."""
    return value.dtype == ir.DataType.FLOAT


def is_constant(value: ir.Value | None) -> bool:
    """Whether a value is an initializer."""
    return value is not None and value.is_initializer() and value.const_value is not None


def constant(value: ir.Value | None) -> Array | None:
    """The elements of an initializer, None for anything else. Not to be written to."""
    if value is None or not value.is_initializer() or value.const_value is None:
        return None
    return value.const_value.numpy()


def scalar(value: ir.Value | None) -> float | None:
    """The only element of a float constant, None for anything else."""
    if value is None or not is_constant(value) or not is_float(value) or int(np.prod(shape_of(value))) != 1:
        return None
    array = constant(value)
    return None if array is None else float(array.reshape(-1)[0])


def integers(value: ir.Value | None) -> tuple[int, ...] | None:
    """The elements of an integer constant, None for anything else."""
    array = constant(value)
    if array is None or not np.issubdtype(array.dtype, np.integer):
        return None
    return tuple(int(element) for element in array.reshape(-1))


def input_of(node: ir.Node, index: int) -> ir.Value | None:
    """Input ``index`` of a node, None where it is absent."""
    return node.inputs[index] if index < len(node.inputs) else None


def present(node: ir.Node, index: int) -> ir.Value:
    """Input ``index`` of a node, which ONNX requires.

    Raises:
        TypeError: It is absent.
    """
    value = input_of(node, index)
    if value is None:
        raise TypeError(f"input {index} of {node.op_type} {node.name!r} is absent")
    return value


def operands(node: ir.Node) -> tuple[ir.Value, ...]:
    """The inputs that are present."""
    return tuple(value for value in node.inputs if value is not None)


def copied(node: ir.Node, copies: dict[ir.Value, ir.Value]) -> ir.Node:
    """A copy of a node for another graph, whose results join the copies of values.

    Args:
        node: A node whose inputs are all among the keys of ``copies``.
        copies: The other graph's values by those of this one; extended.
    """
    inputs = [None if value is None else copies[value] for value in node.inputs]
    copy = ir.Node(node.domain, node.op_type, inputs, node.attributes.values(), num_outputs=len(node.outputs))
    for old, new in zip(node.outputs, copy.outputs, strict=True):
        new.name, new.type = old.name, old.type
        copies[old] = new
    return copy


def get_int(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def get_float(node: ir.Node, name: str, default: float) -> float:
    """A float attribute or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_float()


def get_string(node: ir.Node, name: str, default: str) -> str:
    """A string attribute or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def get_ints(node: ir.Node, name: str, default: Sequence[int]) -> tuple[int, ...]:
    """A list of integers or its default."""
    attribute = node.attributes.get(name)
    return tuple(default if attribute is None else attribute.as_ints())


def producer(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """The node that computes a value, if it is of one of the given types (any type where none is given)."""
    node = None if value is None else value.producer()
    return node if node is not None and (not op_types or node.op_type in op_types) else None


def only_user(value: ir.Value) -> ir.Node | None:
    """The node that uses a value, if it is used exactly once and is not an output of the graph."""
    uses = tuple(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def graph_of(node: ir.Node) -> ir.Graph:
    """The graph a node is in."""
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    return graph


def fresh(graph: ir.Graph, base: str) -> str:
    """A name that no value and no node of the graph has yet: ``base``, else ``base_1`` and so on."""
    names: set[str] | None = graph.meta.get(_NAMES)
    if names is None:
        names = set(graph.initializers) | {value.name or "" for value in graph.inputs}
        for node in graph:
            names.update((node.name or "", *(value.name or "" for value in node.outputs)))
        graph.meta[_NAMES] = names
    name, count = base, 0
    while name in names or not name:
        count += 1
        name = f"{base}_{count}"
    names.add(name)
    return name


def forget_names(graph: ir.Graph) -> None:
    """Makes `fresh` look at the graph again; for use after changes made by others."""
    graph.meta.pop(_NAMES, None)


def add_constant(graph: ir.Graph, array: Array, name: str) -> ir.Value:
    """A new initializer; its name is made unique. A view of another array stays one."""
    label = fresh(graph, name)
    tensor = ir.Tensor(np.asarray(array), name=label)
    value = ir.Value(name=label, type=ir.TensorType(tensor.dtype), shape=tensor.shape, const_value=tensor)
    graph.register_initializer(value)
    return value


def set_constant(node: ir.Node, index: int, array: Array, name: str = "") -> None:
    """Gives a node another constant; it inherits the name of the one it replaces, where nobody else uses that.

    Args:
        node: The node to change.
        index: Which input, at most one behind the last.
        array: The elements.
        name: Name where there is no constant to inherit from.
    """
    graph, old = graph_of(node), input_of(node, index)
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    node.replace_input_with(index, None)
    if old is not None and old.is_initializer():
        name = old.name or name
        drop_unused(old)
        if not old.is_initializer() and name in graph.meta.get(_NAMES, ()):
            graph.meta[_NAMES].discard(name)
    node.replace_input_with(index, add_constant(graph, array, name))
    provenance.touch(graph, node)


def set_attributes(node: ir.Node, attributes: Mapping[str, Attribute | None]) -> bool:
    """Sets attributes (None removes one); tells whether that changed anything."""
    changed = False
    for name, value in attributes.items():
        if value is None:
            changed |= node.attributes.pop(name, None) is not None
            continue
        wanted = _attribute(name, value)
        old = node.attributes.get(name)
        if old is None or old.type != wanted.type or old.value != wanted.value:
            node.attributes.add(wanted)
            changed = True
    if changed and node.graph is not None:
        provenance.touch(graph_of(node), node)
    return changed


def _attribute(name: str, value: Attribute) -> ir.Attr:
    if isinstance(value, (int, np.integer)):
        return ir.AttrInt64(name, int(value))
    if isinstance(value, (float, np.floating)):
        return ir.AttrFloat32(name, float(value))
    if isinstance(value, str):
        return ir.AttrString(name, value)
    if all(isinstance(element, (int, np.integer)) for element in value):
        return ir.AttrInt64s(name, tuple(int(element) for element in value))
    return ir.AttrFloat32s(name, tuple(float(element) for element in value))


def insert(
    before: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    shape: Sequence[int],
    attributes: Mapping[str, Attribute] | None = None,
    *,
    name: str,
    dtype: ir.DataType | None = None,
) -> ir.Value:
    """A new node with one output, in front of ``before``.

    Args:
        before: A node behind all of the new node's inputs.
        op_type: ONNX operator.
        inputs: Its inputs.
        shape: Shape of its output.
        attributes: Its attributes.
        name: Base of the node's and the output's name, made unique.
        dtype: Type of its output; that of the first input where None.

    Returns:
        The output.
    """
    graph = graph_of(before)
    label = fresh(graph, name)
    node = ir.Node("", op_type, inputs, [_attribute(k, v) for k, v in (attributes or {}).items()], name=label)
    output = node.outputs[0]
    first = next(value for value in inputs if value is not None)
    output.name, output.shape = label, ir.Shape(shape)
    output.type = ir.TensorType(dtype or first.dtype or ir.DataType.FLOAT)
    graph.insert_before(before, node)
    provenance.inserted(graph, node)
    return output


def swap(
    node: ir.Node, op_type: str, inputs: Sequence[ir.Value | None], attributes: Mapping[str, Attribute] | None = None
) -> ir.Node:
    """Puts a node of another type in the place of one: same name, same first output, name and shape included.

    A node whose other outputs are still used stays, under another name.
    """
    graph, old = graph_of(node), node.outputs[0]
    new = ir.Node("", op_type, inputs, [_attribute(k, v) for k, v in (attributes or {}).items()], name=node.name)
    output = new.outputs[0]
    output.name, output.shape, output.type = old.name, old.shape, old.type
    graph.insert_before(node, new)
    old.replace_all_uses_with(output, replace_graph_outputs=True)
    provenance.swapped(graph, node, new)
    discard(node)
    if node.graph is graph:
        old.name, node.name = fresh(graph, f"{output.name}.unused"), fresh(graph, f"{node.name}.rest")
    return new


def name_after(rest: ir.Node, result: ir.Value, suffix: str) -> None:
    """Lets what computes keep the user's name.

    Args:
        rest: A node that was put in the place of the user's and only finishes its work; gets another name.
        result: What the node computes that does the work; that node gets the name.
        suffix: Tells what the rest is.
    """
    node = result.producer()
    assert node is not None
    rest.name, node.name = fresh(graph_of(rest), f"{rest.name}.{suffix}"), rest.name


def replace(old: ir.Value, new: ir.Value, *, keep_name: bool = False) -> bool:
    """Lets everyone who uses ``old`` use ``new``, and removes what computed ``old``.

    An output of the graph keeps its name: the new value takes it over.

    Args:
        old: The value that goes.
        new: The value that stays.
        keep_name: The new value takes the old one's name in any case (it is what the old one was, computed another
            way).

    Returns:
        False, and nothing changed, where an output of the graph would be an input, a constant or another output.
    """
    if old.is_graph_output() and (new.is_graph_output() or new.producer() is None):
        return False
    if old.is_graph_output() or (keep_name and not new.is_graph_output() and new.producer() is not None):
        new.name, old.name = old.name, new.name
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    node = old.producer()
    if node is not None:
        provenance.replaced(graph_of(node), old, new)
        discard(node)
    return True


def discard(node: ir.Node) -> None:
    """Removes a node if nobody uses its outputs, and then whatever only it used."""
    pending = [node]
    while pending:
        dead = pending.pop()
        if dead.graph is None or any(value.uses() or value.is_graph_output() for value in dead.outputs):
            continue
        inputs = dict.fromkeys(operands(dead))
        provenance.removed(graph_of(dead), dead)
        graph_of(dead).remove(dead, safe=True)
        for value in inputs:
            drop_unused(value)
            source = value.producer()
            if source is not None:
                pending.append(source)


def drop_unused(value: ir.Value) -> None:
    """Removes an initializer if nobody uses it."""
    if value.is_initializer() and not value.uses() and not value.is_graph_output():
        assert isinstance(value.graph, ir.Graph)
        assert value.name is not None
        value.graph.initializers.pop(value.name)


def leave_out(node: ir.Node, first: int, last: int | None = None) -> bool:
    """Leaves out inputs from ``first`` to before ``last`` (to the end where None); tells whether there were any."""
    dropped = [value for value in node.inputs[first:last] if value is not None]
    provenance.touch(graph_of(node), node)
    for index in range(first, len(node.inputs) if last is None else min(last, len(node.inputs))):
        node.replace_input_with(index, None)
    count = len(node.inputs)
    while count > 0 and node.inputs[count - 1] is None:
        count -= 1
    node.resize_inputs(count)
    for value in dropped:
        drop_unused(value)
    return bool(dropped)


def each(graph: ir.Graph, op_types: Iterable[str], rewrite: Callable[[ir.Node], bool]) -> bool:
    """Offers every node of the given types to a rewrite, in topological order; tells whether one changed anything.

    Raises:
        ModelError: A node's shapes and attributes contradict each other; names it.
    """
    wanted, changed = frozenset(op_types), False
    for node in tuple(graph):
        if node.graph is graph and node.op_type in wanted:
            subject = f"{node.op_type} {node.name!r}"
            try:
                with provenance.change(graph, node):
                    changed |= rewrite(node)
            except (ValueError, IndexError, ZeroDivisionError, TypeError) as error:
                # ONNX's checker and shape inference let such nodes pass.
                raise ModelError(
                    f"the node's shapes and attributes do not fit together: {error}.", subject=subject
                ) from error
    return changed
