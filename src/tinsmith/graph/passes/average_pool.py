"""AveragePool whose divisor or windows the runtime does not have.

The runtime divides every sum by the whole window. Where ONNX divides by less (`count_include_pad` = 0 with padding, the
last window of `ceil_mode`), a Mul behind corrects it: by window / divisor, a constant for each position, or one number
where it is the same everywhere. Along a dimension with one window there is nothing to correct: the window becomes the
elements it covers.

Dilated windows become ordinary ones over a Slice or, where no step meets them all, a Gather of their taps. Windows
that stick out on both sides, and padding that is longer behind than in front (which older ONNX Runtimes average
wrongly), get their zeros from a Pad. Equal up to rounding.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import (
    Array,
    add_constant,
    each,
    get_int,
    graph_of,
    insert,
    name_after,
    present,
    set_attributes,
    shape_of,
    swap,
)
from tinsmith.graph.pooling import (
    Windows,
    declared_ends,
    gather,
    is_explicit,
    pad,
    padded,
    pool_attributes,
    thin,
    windows_of,
)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("AveragePool",), _rewrite)


def _rewrite(node: ir.Node) -> bool:
    if not is_explicit(node):
        return False
    walks, ends = windows_of(node), declared_ends(node)
    counts_padding = bool(get_int(node, "count_include_pad", 0))
    divisors = [_divisors(w, end, counts_padding) for w, end in zip(walks, ends, strict=True)]
    right = all(np.all(d == walk.kernel) for d, walk in zip(divisors, walks, strict=True))
    if right and not any(walk.troublesome for walk in walks):
        unread = () if counts_padding else (0,) * (2 * len(walks))
        return set_attributes(node, {"ceil_mode": None} | ({"pads": unread} if unread else {}))
    if not all(walk.real.any(axis=1).all() for walk in walks):
        return False
    value, walks = thin(node, present(node, 0), walks)
    value, walks = _alone(node, value, walks)
    value, walks = _explicit(node, value, walks)
    for axis, walk in enumerate(walks):
        if walk.dilation > 1:
            value = gather(node, value, axis, walk.taps)
    walks = tuple(walk.gathered() if walk.dilation > 1 else walk for walk in walks)
    _write(node, value, walks, _correction(walks, divisors))
    return True


def _divisors(walk: Windows, end: int, counts_padding: bool) -> Array:
    """What ONNX divides the sums of each window by, along one dimension: its elements, and declared padding."""
    if not counts_padding:
        return np.asarray(walk.real.sum(axis=1))
    taps = walk.taps
    return np.asarray(((taps >= -walk.begin) & (taps < walk.length + end)).sum(axis=1))


def _alone(node: ir.Node, value: ir.Value, walks: tuple[Windows, ...]) -> tuple[ir.Value, tuple[Windows, ...]]:
    """Along dimensions with one window: no padding, the window is what it covers."""
    starts, stops, axes, found = [], [], [], list(walks)
    shape = list(shape_of(value))
    for axis, walk in enumerate(walks):
        if walk.outputs > 1 or walk.dilation > 1:
            continue
        start, stop = max(0, -walk.begin), min(walk.length, walk.kernel - walk.begin)
        found[axis] = replace(walk, length=stop - start, kernel=stop - start, stride=1, begin=0, end=0)
        if stop - start < walk.length:
            starts.append(start)
            stops.append(stop)
            axes.append(axis + 2)
            shape[axis + 2] = stop - start
    if axes:
        bounds = (starts, stops, axes, [1] * len(axes))
        given = [add_constant(graph_of(node), np.array(b, np.int64), f"{node.name}.part") for b in bounds]
        value = insert(node, "Slice", [value, *given], shape, name=f"{node.name}.part")
    return value, tuple(found)


def _explicit(node: ir.Node, value: ir.Value, walks: tuple[Windows, ...]) -> tuple[ir.Value, tuple[Windows, ...]]:
    """A Pad where pools cannot pad themselves."""
    if not any(walk.troublesome or walk.end > walk.begin for walk in walks):
        return value, walks
    used = tuple(replace(walk, end=max(0, int(walk.taps.max()) + 1 - walk.length)) for walk in walks)
    if any(walk.begin or walk.end for walk in used):
        value = pad(node, value, used, "constant")
    return value, tuple(padded(walk) for walk in used)


def _correction(walks: tuple[Windows, ...], divisors: list[Array]) -> Array:
    """Window / divisor at each position, (1, 1, outputs…); of a single element where it is the same everywhere."""
    factor = np.ones((1, 1), np.float64)
    for walk, divisor in zip(walks, divisors, strict=True):
        factor = factor[..., None] * (walk.kernel / divisor)
    return np.ones((), np.float32) * factor.flat[0] if np.all(factor == factor.flat[0]) else factor


def _write(node: ir.Node, value: ir.Value, walks: tuple[Windows, ...], factor: Array) -> None:
    attributes = {**pool_attributes(walks), "count_include_pad": 1, "ceil_mode": 0}
    if np.all(factor == 1):
        node.replace_input_with(0, value)
        set_attributes(node, attributes)
        return
    mean = insert(node, "AveragePool", [value], shape_of(node.outputs[0]), attributes, name=f"{node.name}.mean")
    constant = add_constant(graph_of(node), factor.astype(np.float32), f"{node.name}.correction")
    name_after(swap(node, "Mul", [mean, constant]), mean, "scaled")
