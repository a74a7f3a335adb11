"""What one value of a graph is as a function of another, to be computed in float64.

Exporters spell a normalization in dozens of ways. Instead of one pattern for each, rewrites take the arithmetic between
two values, whatever its order, and look at what it computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import Array, constant, graph_of, is_constant, is_float, operands, scalar, shape_of
from tinsmith.graph.network import as_float_node
from tinsmith.ops.floatnode import FloatNode
from tinsmith.ops.pointwise import apply, functions

_MOST_NODES = 40
_DEEPEST = 16

REDUCTIONS: Mapping[str, Callable[[Array, tuple[int, ...]], Array]] = {
    "ReduceMean": lambda x, axes: np.mean(x, axes, keepdims=True),
    "ReduceSum": lambda x, axes: np.sum(x, axes, keepdims=True),
    "ReduceSumSquare": lambda x, axes: np.sum(np.square(x), axes, keepdims=True),
    "ReduceL1": lambda x, axes: np.sum(np.abs(x), axes, keepdims=True),
    "ReduceL2": lambda x, axes: np.sqrt(np.sum(np.square(x), axes, keepdims=True)),
    "GlobalAveragePool": lambda x, axes: np.mean(x, axes, keepdims=True),
}
"""Reductions a formula may hold; their axes are input 1 (`tinsmith.graph.passes.explicit`), or all behind channels."""
_RESHAPES = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")


def reduced_axes(node: ir.Node) -> tuple[int, ...] | None:
    """The axes a reduction of `REDUCTIONS` goes over; None for anything else."""
    source = node.inputs[0] if node.op_type in REDUCTIONS else None
    if source is None or len(node.inputs) > 2:
        return None
    axes = constant(node.inputs[1]) if len(node.inputs) == 2 else _spatial(node.op_type, len(shape_of(source)))
    return None if axes is None or not axes.size else tuple(int(axis) for axis in axes)


def _spatial(op_type: str, rank: int) -> Array | None:
    """The axes of an operator that has no input for them."""
    return np.arange(2, rank) if op_type == "GlobalAveragePool" else None


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """The nodes that compute one value from another.

    Attributes:
        source: The variable.
        output: What is computed.
        nodes: In topological order.
    """

    source: ir.Value
    output: ir.Value
    nodes: tuple[ir.Node, ...]

    def __call__(self, x: Array) -> Array:
        """The output for one value of the source, float64."""
        return self.function()(x)

    def function(self) -> Callable[[Array], Array]:
        """The same, for many values."""
        steps = tuple(as_float_node(node) for node in self.nodes)
        source, output = self.source.name or "", self.output.name or ""

        def compute(x: Array) -> Array:
            values = {source: x}
            for step in steps:
                values[step.outputs[0].name] = _compute(step, values)
            return values[output]

        return compute

    def numbers(self) -> tuple[float, ...]:
        """Its constants of one element."""
        found = (scalar(value) for node in self.nodes for value in operands(node))
        return tuple(dict.fromkeys(number for number in found if number is not None))

    def reductions(self) -> tuple[ir.Node, ...]:
        """Its nodes that reduce."""
        return tuple(node for node in self.nodes if node.op_type in REDUCTIONS)


def _compute(node: FloatNode, values: Mapping[str, Array]) -> Array:
    first = node.input(0)
    x = values[first.name] if first.const is None else first.const.astype(np.float64)
    if node.op_type in REDUCTIONS:
        axes = node.const(1) if len(node.inputs) == 2 else _spatial(node.op_type, x.ndim)
        assert axes is not None
        return REDUCTIONS[node.op_type](x, tuple(axes.tolist())).reshape(node.outputs[0].shape)
    if node.op_type in _RESHAPES:
        return x.reshape(node.outputs[0].shape)
    if node.op_type == "Expand":
        return np.broadcast_to(x, node.outputs[0].shape)
    return apply(node, values)


def known(node: ir.Node) -> bool:
    """Whether a formula may hold a node."""
    if len(node.outputs) != 1 or not all(is_float(value) for value in node.outputs):
        return False
    if node.op_type in REDUCTIONS:
        return reduced_axes(node) is not None
    if node.op_type in (*_RESHAPES, "Expand"):
        return not is_constant(node.inputs[0])
    return node.op_type in functions() and all(is_float(value) for value in operands(node))


def computed(node: ir.Node) -> list[ir.Value]:
    """A node's inputs that are no constants, each once."""
    return [value for value in dict.fromkeys(operands(node)) if not is_constant(value)]


class Places(dict[ir.Node, int]):
    """Every node's place in its graph; read anew when it is asked for a node that was not there before.

    Nodes that come and go leave the order of the others as it is.
    """

    def __missing__(self, node: ir.Node) -> int:
        self.update((other, place) for place, other in enumerate(graph_of(node)))
        return self[node]


def between(source: ir.Value, output: ir.Value, order: Mapping[ir.Node, int]) -> Formula | None:
    """The formula of one value in another; None where something else goes in, or nodes that are no arithmetic.

    Args:
        source: The variable.
        output: What is computed.
        order: Every node's place in the graph.
    """
    found: set[ir.Node] = set()
    pending = [output]
    while pending:
        value = pending.pop()
        node = value.producer()
        if value is source or node in found:
            continue
        if node is None or not known(node) or len(found) == _MOST_NODES or order[node] < _place(source, order):
            return None
        found.add(node)
        pending.extend(computed(node))
    return Formula(source, output, tuple(sorted(found, key=order.__getitem__)))


def variables(value: ir.Value, order: Mapping[ir.Node, int]) -> Iterator[ir.Value]:
    """The values that all of a value's arithmetic goes through, nearest first, itself included."""
    frontier = {value}
    for _ in range(_DEEPEST):
        if len(frontier) == 1:
            yield next(iter(frontier))
        last = max(frontier, key=lambda found: _place(found, order))
        node = last.producer()
        if node is None or not known(node):
            return
        frontier.remove(last)
        frontier.update(computed(node))
        if not frontier:
            return


def _place(value: ir.Value, order: Mapping[ir.Node, int]) -> int:
    node = value.producer()
    return -1 if node is None else order[node]


def of_one_variable(node: ir.Node) -> bool:
    """Whether a node is, element by element, a function of one tensor and of numbers, and can become a table."""
    if not _is_element(node):
        return False
    order, frontier = Places(), set(computed(node))
    for _ in range(_DEEPEST):
        if len(frontier) == 1 and is_float(next(iter(frontier))):
            return True
        last = max(frontier, key=lambda found: _place(found, order))
        source = last.producer()
        if source is None or not _is_element(source):
            return False
        frontier.remove(last)
        frontier.update(computed(source))
    return False


def _is_element(node: ir.Node) -> bool:
    """Whether all computed inputs have the output's shape, and the constants one element."""
    if node.op_type not in functions() or len(node.outputs) != 1:
        return False
    shape, sources = shape_of(node.outputs[0]), computed(node)
    numbers = [value for value in operands(node) if is_constant(value)]
    return (
        bool(sources)
        and all(shape_of(value) == shape for value in sources)
        and all(math.prod(shape_of(value)) == 1 for value in numbers)
    )
