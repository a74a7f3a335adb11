"""MaxPool windows that the runtime gets wrong, and GlobalMaxPool.

- Dilated windows: where the stride is a multiple of the dilation, a Slice keeps the elements they read. Elsewhere
  a Gather puts the windows one behind the other, one dimension at a time; for padding it repeats an element of its
  window.
- Windows that stick out on both sides: a Pad with mode edge. Such a window holds the edge already, so that its copies
  never change the largest element, whatever the sign.
- GlobalMaxPool is a MaxPool whose window is the whole map.

Exact. Windows that hold padding only have no largest element; they stay and are refused.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import each, insert, present, set_attributes, shape_of, swap
from tinsmith.graph.pooling import (
    Index,
    Windows,
    gather,
    is_explicit,
    pad,
    padded,
    pool_attributes,
    thin,
    windows_of,
)

ENABLES = ("GlobalMaxPool",)


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("GlobalMaxPool",), _global) | each(graph, ("MaxPool",), _rewrite)


def _global(node: ir.Node) -> bool:
    shape = shape_of(present(node, 0))
    if len(shape) < 3:
        return False
    swap(node, "MaxPool", [present(node, 0)], {"kernel_shape": shape[2:]})
    return True


def _rewrite(node: ir.Node) -> bool:
    if not is_explicit(node) or len(node.outputs) > 1:
        return False
    walks = windows_of(node)
    if not any(walk.troublesome for walk in walks) or not all(walk.real.any(axis=1).all() for walk in walks):
        return False
    value, walks = thin(node, present(node, 0), walks)
    spread = [axis for axis, walk in enumerate(walks) if walk.dilation > 1]
    value, walks = _pad(node, value, walks)
    first = tuple(_skipped(walk) if axis in spread else walk for axis, walk in enumerate(walks))
    if spread and any(walk != _skipped(walk) for walk in first):
        value = _pool(node, value, first)
    for axis in spread[:-1]:
        value = _spread(node, value, axis, walks[axis])
    if not spread:
        node.replace_input_with(0, value)
        return set_attributes(node, {**pool_attributes(first), "ceil_mode": 0})
    axis = spread[-1]
    node.replace_input_with(0, gather(node, value, axis, _indices(walks[axis])))
    only = _along(present(node, 0), axis, walks[axis].gathered())
    return set_attributes(node, {**pool_attributes(only), "ceil_mode": 0})


def _pad(node: ir.Node, value: ir.Value, walks: tuple[Windows, ...]) -> tuple[ir.Value, tuple[Windows, ...]]:
    """Edge padding along the dimensions that need it."""
    wrong = [walk.dilation == 1 and walk.troublesome for walk in walks]
    if not any(wrong):
        return value, walks
    chosen = tuple(walk if bad else _unpadded(walk) for walk, bad in zip(walks, wrong, strict=True))
    value = pad(node, value, chosen, "edge")
    return value, tuple(padded(walk) if bad else walk for walk, bad in zip(walks, wrong, strict=True))


def _unpadded(walk: Windows) -> Windows:
    return Windows(walk.length, walk.outputs, walk.kernel, walk.stride, walk.dilation, 0, 0)


def _skipped(walk: Windows) -> Windows:
    """The walk that leaves a dimension as it is."""
    return Windows(walk.length, walk.length, 1, 1, 1, 0, 0)


def _indices(walk: Windows) -> Index:
    """The taps of all windows; in place of padding the first element the window has."""
    taps, real = walk.taps, walk.real
    first = np.take_along_axis(taps, real.argmax(axis=1)[:, None], axis=1)
    return np.where(real, taps, first)


def _along(value: ir.Value, axis: int, walk: Windows) -> tuple[Windows, ...]:
    """A pool along one dimension of a value."""
    lengths = shape_of(value)[2:]
    return tuple(walk if at == axis else Windows(n, n, 1, 1, 1, 0, 0) for at, n in enumerate(lengths))


def _spread(node: ir.Node, value: ir.Value, axis: int, walk: Windows) -> ir.Value:
    """The largest elements of dilated windows along one dimension."""
    value = gather(node, value, axis, _indices(walk))
    return _pool(node, value, _along(value, axis, walk.gathered()))


def _pool(node: ir.Node, value: ir.Value, walks: tuple[Windows, ...]) -> ir.Value:
    shape = (*shape_of(value)[:2], *(walk.outputs for walk in walks))
    return insert(node, "MaxPool", [value], shape, pool_attributes(walks), name=f"{node.name}.max")
