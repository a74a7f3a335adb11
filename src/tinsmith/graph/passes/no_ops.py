"""Removes nodes that return their input.

Matched, with every shape known: Identity, Dropout and Cast to the same type; Reshape, Flatten, Squeeze, Unsqueeze,
Expand, Tile, Slice and Resize whose output has the input's shape and order; Transpose that changes nothing; Pad by
nothing; Concat, Sum, Max, Min, Mean and Split of one tensor; Mul and Div by ones, Add and Sub of zeros; pooling with
windows of one element; sums, means and extremes over dimensions of one element, or over no axes where that is asked
for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    constant,
    each,
    get_int,
    get_ints,
    get_string,
    input_of,
    integers,
    operands,
    present,
    replace,
    shape_of,
    swap,
)

_Test = Callable[[ir.Node], bool]


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, _TESTS, _drop)


def _drop(node: ir.Node) -> bool:
    if not node.outputs[0].uses() and not node.outputs[0].is_graph_output():
        return False
    index = 1 if node.op_type in ("Mul", "Add") and _neutral(node, 0) else 0
    source = input_of(node, index)
    if source is None or source.dtype != node.outputs[0].dtype or shape_of(source) != shape_of(node.outputs[0]):
        return False
    if not _TESTS[node.op_type](node):
        return False
    if replace(node.outputs[0], source):
        return True
    # An output of the graph that is an input or another output has a node of its own: Identity.
    return node.op_type != "Identity" and swap(node, "Identity", [source]) is not None


def _always(node: ir.Node) -> bool:
    return True


def _alone(node: ir.Node) -> bool:
    return len(operands(node)) == 1 or (node.op_type == "Split" and len(node.outputs) == 1)


def _neutral(node: ir.Node, index: int) -> bool:
    array = constant(input_of(node, index))
    wanted = 1 if node.op_type in ("Mul", "Div") else 0
    return array is not None and bool(np.all(array == wanted))


def _arithmetic(node: ir.Node) -> bool:
    return _neutral(node, 1) or (node.op_type in ("Mul", "Add") and _neutral(node, 0))


def _transpose(node: ir.Node) -> bool:
    perm = get_ints(node, "perm", tuple(reversed(range(len(shape_of(present(node, 0)))))))
    return tuple(perm) == tuple(range(len(perm)))


def _slice(node: ir.Node) -> bool:
    steps = integers(input_of(node, 4))
    return len(node.inputs) < 5 or node.inputs[4] is None or (steps is not None and min(steps, default=1) > 0)


def _pad(node: ir.Node) -> bool:
    return not any(integers(input_of(node, 1)) or (1,))


def _resize(node: ir.Node) -> bool:
    exact = get_string(node, "coordinate_transformation_mode", "half_pixel") != "tf_crop_and_resize"
    scales = constant(input_of(node, 2))
    return exact and (scales is None or bool(np.all(scales == 1))) and not get_int(node, "antialias", 0)


def _window_of_one(node: ir.Node) -> bool:
    kernel = get_ints(node, "kernel_shape", shape_of(present(node, 0))[2:])
    return set(kernel) == {1} and not any(get_ints(node, "pads", ())) and len(node.outputs) == 1


def _over_ones(node: ir.Node) -> bool:
    shape, axes = shape_of(present(node, 0)), integers(input_of(node, 1))
    if get_int(node, "noop_with_empty_axes", 0) and (axes == () or input_of(node, 1) is None):
        return True
    return axes is not None and bool(axes) and all(shape[axis] == 1 for axis in axes)


_TESTS: dict[str, _Test] = {
    **dict.fromkeys(
        ("Identity", "Dropout", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile"), _always
    ),
    **dict.fromkeys(("Concat", "Sum", "Max", "Min", "Mean", "Split"), _alone),
    **dict.fromkeys(("Mul", "Div", "Add", "Sub"), _arithmetic),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool"), _window_of_one),
    **dict.fromkeys(("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"), _over_ones),
    "Transpose": _transpose,
    "Slice": _slice,
    "Pad": _pad,
    "Resize": _resize,
}
