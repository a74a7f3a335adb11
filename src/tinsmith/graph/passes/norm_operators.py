"""Normalizations that the runtime lacks become ones that it has.

- InstanceNormalization, and GroupNormalization with the elements of a group in a row, are LayerNormalization over what
  they normalize; their scale and bias per channel follow as Mul and Add.
- BatchNormalization with computed numbers is spelled out; constant ones are `merge_affine`'s.
- MeanVarianceNormalization is LayerNormalization over its axes.
- LayerNormalization that also gives the mean and the inverse deviation has them computed beside it.
- LRN, x / (k + α/n · Σx²)^β over neighbouring channels: the sum is a Conv of x² with a band of α/n as weights.
- Scale and bias of LayerNormalization and RMSNormalization get one element for each element normalized, which ONNX
  leaves to broadcasting; constants that follow LayerNormalization along those axes are multiplied into them.

Equal by the operators' own definitions, up to the rounding of float operations; MeanVarianceNormalization adds 1e-9 to
the deviation, which is left out.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from tinsmith.graph.affine import read
from tinsmith.graph.edit import (
    Array,
    add_constant,
    constant,
    each,
    get_float,
    get_int,
    get_ints,
    graph_of,
    input_of,
    insert,
    is_constant,
    only_user,
    present,
    producer,
    replace,
    set_constant,
    shape_of,
    swap,
)
from tinsmith.graph.normalization import SMALLEST_EPSILON, Norm, write

ENABLES: tuple[str, ...] = (
    "BatchNormalization",
    "InstanceNormalization",
    "GroupNormalization",
    "MeanVarianceNormalization",
    "LRN",
)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("InstanceNormalization", "GroupNormalization"), _groups)
    changed |= each(graph, ("BatchNormalization",), _computed_batch)
    changed |= each(graph, ("MeanVarianceNormalization",), _mean_variance)
    changed |= each(graph, ("LayerNormalization",), _further_results)
    changed |= each(graph, ("LRN",), _local_response)
    changed |= each(graph, ("LayerNormalization", "RMSNormalization"), _full_parameters)
    return changed | each(graph, ("Mul", "Div", "Add", "Sub"), _into_parameters)


def _groups(node: ir.Node) -> bool:
    source, shape = present(node, 0), shape_of(present(node, 0))
    channels = shape[1]
    groups = get_int(node, "num_groups", channels) if node.op_type == "GroupNormalization" else channels
    columns = [_column(node, index) for index in (1, 2)]
    if columns[0] is None or columns[1] is None or len(shape) < 3:
        return False
    name = node.name or node.op_type
    value = _rows(node, source, (shape[0], groups, math.prod(shape[1:]) // groups))
    ones = add_constant(graph_of(node), np.ones(shape_of(value)[2:], np.float32), f"{name}.ones")
    attributes = {"axis": 2, "epsilon": get_float(node, "epsilon", 1e-5)}
    value = insert(node, "LayerNormalization", [value, ones], shape_of(value), attributes, name=f"{name}.normalized")
    scaled = insert(node, "Mul", [_rows(node, value, shape), columns[0]], shape, name=f"{name}.scaled")
    swap(node, "Add", [scaled, columns[1]])
    return True


def _column(node: ir.Node, index: int) -> ir.Value | None:
    """An input with a number per channel (or per group of them), so that it broadcasts; None where it is absent."""
    value, shape = input_of(node, index), shape_of(present(node, 0))
    if value is None:
        return None
    size = math.prod(shape_of(value))
    column = (shape[1], *(1 for _ in shape[2:]))
    array = constant(value)
    if array is not None and size and shape[1] % size == 0:
        full = np.repeat(array, shape[1] // size).reshape(column)
        return add_constant(graph_of(node), full, value.name or f"{node.name}.column")
    if size != shape[1]:
        return None
    wanted = add_constant(graph_of(node), np.array(column, dtype=np.int64), f"{node.name}.column")
    return insert(node, "Reshape", [value, wanted], column, name=f"{value.name}.column")


def _computed_batch(node: ir.Node) -> bool:
    """BatchNormalization with numbers that are computed; `merge_affine` takes constant ones."""
    if len(node.outputs) > 1 or all(is_constant(value) for value in node.inputs[1:]) or len(node.inputs) != 5:
        return False
    shape, graph, name = shape_of(present(node, 0)), graph_of(node), node.name or node.op_type
    scale, bias, mean, variance = (_column(node, index) for index in range(1, 5))
    if scale is None or bias is None or mean is None or variance is None:
        return False
    column = shape_of(variance)
    epsilon = add_constant(graph, np.array(get_float(node, "epsilon", 1e-5), dtype=np.float32), f"{name}.epsilon")
    total = insert(node, "Add", [variance, epsilon], column, name=f"{name}.total")
    root = insert(node, "Sqrt", [total], column, name=f"{name}.root")
    factor = insert(node, "Div", [scale, root], column, name=f"{name}.factor")
    centred = insert(node, "Sub", [present(node, 0), mean], shape, name=f"{name}.centred")
    swap(node, "Add", [insert(node, "Mul", [centred, factor], shape, name=f"{name}.scaled"), bias])
    return True


def _further_results(node: ir.Node) -> bool:
    """The mean and the inverse deviation of a LayerNormalization, computed beside it."""
    if len(node.outputs) < 2:
        return False
    source, name, graph = present(node, 0), node.name or node.op_type, graph_of(node)
    rank = len(shape_of(source))
    axes = np.arange(get_int(node, "axis", -1) % rank, rank, dtype=np.int64)
    kept = shape_of(node.outputs[1])
    along = add_constant(graph, axes, f"{name}.axes")
    mean = insert(node, "ReduceMean", [source, along], kept, {"keepdims": 1}, name=f"{name}.mean")
    if len(node.outputs) == 3 and (node.outputs[2].uses() or node.outputs[2].is_graph_output()):
        centred = insert(node, "Sub", [source, mean], shape_of(source), name=f"{name}.centred")
        square = insert(node, "Mul", [centred, centred], shape_of(source), name=f"{name}.square")
        variance = insert(node, "ReduceMean", [square, along], kept, {"keepdims": 1}, name=f"{name}.variance")
        number = np.array(get_float(node, "epsilon", 1e-5), dtype=np.float32)
        total = insert(
            node, "Add", [variance, add_constant(graph, number, f"{name}.epsilon")], kept, name=f"{name}.total"
        )
        root = insert(node, "Sqrt", [total], kept, name=f"{name}.root")
        one = add_constant(graph, np.array(1, dtype=np.float32), f"{name}.one")
        replace(node.outputs[2], insert(node, "Div", [one, root], kept, name=f"{name}.inverse"), keep_name=True)
    replace(node.outputs[1], mean, keep_name=True)
    attributes = {"axis": int(axes[0]), "epsilon": get_float(node, "epsilon", 1e-5)}
    swap(node, "LayerNormalization", node.inputs, attributes)
    return True


def _rows(node: ir.Node, value: ir.Value, shape: tuple[int, ...]) -> ir.Value:
    """A value in another shape; rows of several axes stay as they are."""
    given = shape_of(value)
    if given == shape or (given[:2] == shape[:2] and math.prod(given) == math.prod(shape)):
        return value
    wanted = add_constant(graph_of(node), np.array(shape, dtype=np.int64), f"{node.name}.shape")
    return insert(node, "Reshape", [value, wanted], shape, name=f"{node.name}.rows")


def _mean_variance(node: ir.Node) -> bool:
    source = present(node, 0)
    shape = shape_of(source)
    axes = tuple(sorted(axis % len(shape) for axis in get_ints(node, "axes", (0, 2, 3))))
    kept = [shape[axis] for axis in axes]
    write(node, source, Norm("layer", axes, SMALLEST_EPSILON, np.ones(kept), np.zeros(kept)))
    return True


def _local_response(node: ir.Node) -> bool:
    source = present(node, 0)
    shape = shape_of(source)
    size, channels, rank = get_int(node, "size", 1), shape[1], len(shape)
    if rank not in (3, 4):
        return False
    graph, name = graph_of(node), node.name or "LRN"
    square = insert(node, "Mul", [source, source], shape, name=f"{name}.square")
    distance = np.arange(channels)[None, :] - np.arange(channels)[:, None]
    band = (distance >= -((size - 1) // 2)) & (distance <= size // 2)
    weights = (band * (get_float(node, "alpha", 1e-4) / size)).reshape(channels, channels, *(1 for _ in shape[2:]))
    bias = np.full(channels, get_float(node, "bias", 1.0), np.float32)
    parameters = [
        add_constant(graph, weights.astype(np.float32), f"{name}.band"),
        add_constant(graph, bias, f"{name}.bias"),
    ]
    ones = (1,) * (rank - 2)
    window = {"kernel_shape": ones, "strides": ones, "dilations": ones, "pads": (0,) * (2 * rank - 4)}
    total = insert(node, "Conv", [square, *parameters], shape, {"group": 1, **window}, name=f"{name}.total")
    exponent = add_constant(graph, np.array(-get_float(node, "beta", 0.75), dtype=np.float32), f"{name}.exponent")
    swap(node, "Mul", [source, insert(node, "Pow", [total, exponent], shape, name=f"{name}.power")])
    return True


def _full_parameters(node: ir.Node) -> bool:
    shape = shape_of(present(node, 0))
    rows, changed = shape[get_int(node, "axis", -1) % len(shape) :], False
    for index in (1, 2):
        array = constant(input_of(node, index))
        if array is not None and array.shape != rows and array.ndim <= len(rows):
            set_constant(node, index, np.ascontiguousarray(np.broadcast_to(array, rows)))
            changed = True
    return changed


def _into_parameters(node: ir.Node) -> bool:
    """LayerNormalization · a + b along the axes normalized."""
    found = read(node)
    before = None if found is None else producer(found.source, "LayerNormalization")
    if found is None or before is None or only_user(found.source) is not node or len(before.outputs) != 1:
        return False
    scale, shift = constant(input_of(before, 1)), constant(input_of(before, 2))
    rows = shape_of(found.source)[get_int(before, "axis", -1) % len(shape_of(found.source)) :]
    factors, summands = _within(found.scale, rows), _within(found.shift, rows)
    if scale is None or factors is None or summands is None or (input_of(before, 2) is not None and shift is None):
        return False
    bias = (0 if shift is None else shift) * factors + summands
    graph, name = graph_of(node), node.name or before.op_type
    inputs = [present(before, 0), add_constant(graph, (scale * factors).astype(np.float32), f"{name}.scale")]
    if np.any(bias != 0):
        inputs.append(add_constant(graph, bias.astype(np.float32), f"{name}.bias"))
    attributes = {"axis": get_int(before, "axis", -1), "epsilon": get_float(before, "epsilon", 1e-5)}
    swap(node, "LayerNormalization", inputs, attributes)
    return True


def _within(array: Array, rows: tuple[int, ...]) -> Array | None:
    """An array broadcast to the shape of what is normalized together, None where it varies beyond."""
    while array.ndim > len(rows) and array.shape[0] == 1:
        array = array[0]
    return np.broadcast_to(array, rows) if array.ndim <= len(rows) else None
