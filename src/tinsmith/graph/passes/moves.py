"""Makes one Transpose of two with a Reshape between them.

MobileViT folds a map into patches so: Transpose, Reshape, Transpose. Where the Reshape splits and merges dimensions at
places that divide each other, all three move the same small dimensions: one Reshape splits the source into them, one
Transpose moves them, and one Reshape merges them again. The Reshapes cost nothing.

Only where the one Transpose needs no more than five dimensions, which the runtime moves. Exact.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod

import onnx_ir as ir

from tinsmith.graph.edit import each, insert, only_user, present, producer, shape_of
from tinsmith.graph.passes.reshapes import KINDS, reshape, reshaped
from tinsmith.graph.passes.transposes import perm_of

_MOST = 5
Shape = tuple[int, ...]


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, ("Transpose",), _merge)


def _merge(node: ir.Node) -> bool:
    middle = present(node, 0)
    mover = producer(middle, *KINDS)
    first = None if mover is None or only_user(middle) is not node else producer(present(mover, 0), "Transpose")
    if mover is None or first is None or only_user(first.outputs[0]) is not mover:
        return False
    before, after = shape_of(first.outputs[0]), shape_of(middle)
    sizes = refined(before, after)
    if sizes is None:
        return False
    inner, outer = perm_of(first), perm_of(node)
    if (inner, outer) == ((0, 2, 3, 1), (0, 3, 1, 2)):
        # A map's channels last and back: the chip has them there, and nothing moves.
        return False
    source = [part for axis in range(len(before)) for part in _parts(before, inner.index(axis), sizes)]
    result = [part for axis in outer for part in _parts(after, axis, sizes)]
    runs: list[list[int]] = []
    for part in result:
        follows = bool(runs) and source.index(part) == source.index(runs[-1][-1]) + 1
        if follows:
            runs[-1].append(part)
        else:
            runs.append([part])
    ordered = sorted(runs, key=lambda run: source.index(run[0]))
    if len(runs) > _MOST:
        return False
    lengths = [prod(sizes[part] for part in run) for run in ordered]
    split = reshaped(node, present(first, 0), tuple(lengths), "split")
    perm = tuple(ordered.index(run) for run in runs)
    moved = tuple(lengths[place] for place in perm)
    reshape(node, insert(node, "Transpose", [split], moved, {"perm": perm}, name=node.name or "Transpose"))
    return True


def refined(first: Shape, second: Shape) -> Shape | None:
    """Dimensions that both shapes, of as many elements, merge to theirs; none is 1. None where there are none such."""
    ends = sorted({prod(shape[:count]) for shape in (first, second) for count in range(len(shape) + 1)})
    if any(end % start for start, end in pairwise(ends)):
        return None
    return tuple(end // start for start, end in pairwise(ends))


def _parts(shape: Shape, axis: int, sizes: Shape) -> list[int]:
    """Which of the small dimensions make up one of a shape's."""
    start, end = prod(shape[:axis]), prod(shape[: axis + 1])
    return [part for part in range(len(sizes)) if start <= prod(sizes[:part]) < end]
