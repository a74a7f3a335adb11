"""Bounds of activations in one form: Relu, and Clip with constant bounds.

- Min and Max with a constant of one element are Clips with one bound.
- Clip with a bound that is computed is Max and Min.
- Clip from 0 upwards is Relu; Clip without effective bounds disappears.
- Of Relu and Clip in a row one Clip is left: clip(clip(x, a, b), c, d) = clip(x, clip(a, c, d), clip(b, c, d)).
- max(x, s·x) with 0 ≤ s ≤ 1 is LeakyRelu.

All are equalities, exact in float arithmetic (LeakyRelu multiplies by the same number).
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    add_constant,
    each,
    graph_of,
    input_of,
    insert,
    is_constant,
    is_float,
    only_user,
    operands,
    present,
    producer,
    replace,
    scalar,
    shape_of,
    swap,
)

Bounds = tuple[float, float]


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    changed = each(graph, ("Max",), _leaky_relu)
    changed |= each(graph, ("Min", "Max"), _extreme)
    changed |= each(graph, ("Clip",), _computed_bounds)
    return changed | each(graph, ("Clip", "Relu"), _clip)


def bounds(node: ir.Node) -> Bounds | None:
    """Lower and upper bound of a float Relu or Clip; None where they are not constants in order."""
    if not is_float(node.outputs[0]):
        return None
    if node.op_type == "Relu":
        return 0.0, math.inf
    low = -math.inf if input_of(node, 1) is None else scalar(input_of(node, 1))
    high = math.inf if input_of(node, 2) is None else scalar(input_of(node, 2))
    if low is None or high is None or not low <= high:
        return None
    # Exporters write the largest float where they mean "no bound".
    largest = float(np.finfo(np.float32).max)
    return (-math.inf if low <= -largest else low), (math.inf if high >= largest else high)


def _extreme(node: ir.Node) -> bool:
    terms = operands(node)
    constants = [scalar(term) for term in terms]
    if len(terms) != 2 or not is_float(node.outputs[0]) or (constants[0] is None) == (constants[1] is None):
        return False
    index = 0 if constants[0] is None else 1
    source, limit = terms[index], constants[1 - index]
    if limit is None or math.isnan(limit) or shape_of(source) != shape_of(node.outputs[0]):
        return False
    _write(node, source, (limit, math.inf) if node.op_type == "Max" else (-math.inf, limit))
    return True


def _leaky_relu(node: ir.Node) -> bool:
    terms = operands(node)
    if len(terms) != 2:
        return False
    for source, other in (terms, terms[::-1]):
        product = producer(other, "Mul")
        if product is None or source not in product.inputs:
            continue
        slope = scalar(product.inputs[1 - product.inputs.index(source)])
        if slope is not None and 0 <= slope <= 1 and shape_of(source) == shape_of(node.outputs[0]):
            swap(node, "LeakyRelu", [source], {"alpha": slope})
            return True
    return False


def _clip(node: ir.Node) -> bool:
    limits, source = bounds(node), present(node, 0)
    if limits is None:
        return False
    inner = producer(source, "Clip", "Relu")
    inside = None if inner is None or only_user(source) is not node else bounds(inner)
    if inner is not None and inside is not None:
        low, high = (min(max(bound, limits[0]), limits[1]) for bound in inside)
        _write(node, present(inner, 0), (low, high))
        return True
    if limits == (-math.inf, math.inf):
        return replace(node.outputs[0], source)
    if node.op_type == "Clip" and (limits == (0.0, math.inf) or not _as_written(node, limits)):
        _write(node, source, limits)
        return True
    return False


def _computed_bounds(node: ir.Node) -> bool:
    low, high = input_of(node, 1), input_of(node, 2)
    if not is_float(node.outputs[0]) or all(bound is None or is_constant(bound) for bound in (low, high)):
        return False
    value = present(node, 0)
    if low is not None and high is not None:
        value = insert(node, "Max", [value, low], shape_of(value), name=f"{node.name}.above")
    kind, bound = ("Max", low) if high is None else ("Min", high)
    assert bound is not None
    swap(node, kind, [value, bound])
    return True


def _as_written(node: ir.Node, limits: Bounds) -> bool:
    """Whether exactly the finite bounds are inputs."""
    return all((input_of(node, index + 1) is None) == math.isinf(limits[index]) for index in (0, 1))


def _write(node: ir.Node, source: ir.Value, limits: Bounds) -> None:
    if limits == (0.0, math.inf):
        swap(node, "Relu", [source])
        return
    graph, inputs = graph_of(node), [source]
    named: list[ir.Value | None] = [
        None if math.isinf(limit) else add_constant(graph, np.array(limit, dtype=np.float32), f"{node.name}.{name}")
        for limit, name in zip(limits, ("min", "max"), strict=True)
    ]
    while named and named[-1] is None:
        named.pop()
    swap(node, "Clip", [*inputs, *named])
