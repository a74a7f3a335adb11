"""Normalizations spelled out become LayerNormalization, RMSNormalization or LpNormalization.

Looked at is everything that elementary arithmetic computes from one value x by way of sums or means over some of its
axes. A candidate is computed in float64 for a few inputs, large and small, and compared with

- γ · (x - mean) / √(variance + ε) + β: LayerNormalization;
- γ · x / √(mean square + ε) + β: RMSNormalization, with an Add where there is a β;
- x / ‖x‖, by the sum of squares or of magnitudes: LpNormalization.

γ and β, which may vary along the axes normalized, follow from two inputs x and -x; ε is one of the formula's own
constants. What agrees to one part in 10^6 everywhere is that normalization, in whatever order its steps stand. Forms
that add ε to the root, or bound it from below, agree to one in 10^5 where the deviation is 1 or more, and are taken for
the same: they differ where all elements are almost equal. Axes that are not the last ones get Transposes around.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import onnx_ir as ir

from tinsmith.graph.edit import Array, each, is_float, shape_of
from tinsmith.graph.formula import REDUCTIONS, Formula, Places, between, reduced_axes, variables
from tinsmith.graph.normalization import SMALLEST_EPSILON, Kind, Norm, normalized, write

_EXACT, _LOOSE = 1e-6, 1e-5
_PROBES = ((1.0, 0.5), (30.0, -4.0), (1e-2, 0.0), (1e-3, 1e-3))
"""Deviation and mean of the inputs that are tried; the first ones decide where only deviations from 1 on count."""
_LARGE = 2
_MOST_STEPS = 24
_MOST_ELEMENTS = 1 << 20


def apply(graph: ir.Graph) -> bool:
    """Runs the pass; tells whether anything changed."""
    return each(graph, REDUCTIONS, partial(_fuse, Places()))


def _fuse(order: Places, node: ir.Node) -> bool:
    axes, source = reduced_axes(node), node.inputs[0]
    if axes is None or source is None or not is_float(source) or math.prod(shape_of(source)) > _MOST_ELEMENTS:
        return False
    best: tuple[Formula, Norm] | None = None
    for x in variables(source, order):
        if shape_of(x) != shape_of(source):
            continue
        for formula in reversed(list(_outputs(node, x, order))):
            norm = recognized(formula, tuple(sorted(axes)))
            if norm is not None and (best is None or norm.kind == "layer"):
                best = formula, norm
                break
        if best is not None and best[1].kind == "layer":
            break
    if best is None:
        return False
    formula, norm = best
    last = formula.output.producer()
    assert last is not None
    write(last, formula.source, norm)
    return True


def _outputs(node: ir.Node, x: ir.Value, order: Mapping[ir.Node, int]) -> Iterator[Formula]:
    """What is computed from x by way of a reduction, and has its shape; in topological order."""
    reached, pending, steps = {node}, [node], 0
    while pending and steps < _MOST_STEPS:
        pending.sort(key=order.__getitem__)
        current = pending.pop(0)
        formula = between(x, current.outputs[0], order)
        if formula is None:
            continue
        steps += 1
        if shape_of(formula.output) == shape_of(x) and len(formula.nodes) > 1:
            yield formula
        for user in current.outputs[0].consumers():
            if user not in reached:
                reached.add(user)
                pending.append(user)


def recognized(formula: Formula, axes: tuple[int, ...]) -> Norm | None:
    """The normalization a formula computes, None where it is another function."""
    shape = shape_of(formula.source)
    if any(tuple(sorted(reduced_axes(node) or ())) != axes for node in formula.reductions()):
        return None
    if math.prod(shape[axis] for axis in axes) == 1:
        # One element has no deviation.
        return None
    function = formula.function()
    rng = np.random.default_rng(len(shape))
    probes = [rng.normal(mean, deviation, shape) for deviation, mean in _PROBES]
    with np.errstate(all="ignore"):
        first, mirrored = function(probes[0]), function(-probes[0])
        odd, even = (first - mirrored) / 2, (first + mirrored) / 2
        # A normalization does not grow with its input.
        if not np.allclose(function(probes[0] * 64) - even, odd, rtol=0, atol=0.2 * np.abs(odd).max()):
            return None
        shift = _along(even, axes, max(np.abs(odd).max(), np.abs(even).max()))
        if shift is None:
            return None
        values = [first, *(function(probe) for probe in probes[1:])]
        for count, tolerance in ((len(probes), _EXACT), (_LARGE, _LOOSE)):
            for kind, epsilon in _candidates(formula, [shape[axis] for axis in axes], tolerance):
                scale = _along(odd / normalized(probes[0], kind, axes, epsilon), axes)
                if scale is None:
                    continue
                norm = Norm(kind, axes, epsilon, scale, shift)
                pairs = list(zip(probes, values, strict=True))[:count]
                if all(_agree(norm, probe, value, tolerance) for probe, value in pairs):
                    return norm
    return None


def _candidates(formula: Formula, lengths: Sequence[int], tolerance: float) -> Iterator[tuple[Kind, float]]:
    """Kinds and ε to try: the formula's small constants, of the variance or of a sum, as they are or squared."""
    numbers = sorted({number for number in formula.numbers() if 0 < number <= 1}, reverse=True)
    kinds: tuple[Kind, ...] = ("layer", "rms", "l1")
    for kind in kinds if len(lengths) == 1 else kinds[:2]:
        if tolerance == _EXACT:
            yield kind, 0.0
        for number in numbers:
            for epsilon in (number**2, number, number / math.prod(lengths)):
                yield kind, epsilon
        yield kind, SMALLEST_EPSILON


def _along(values: Array, axes: tuple[int, ...], size: float | None = None) -> Array | None:
    """Values that vary along the axes only, as an array of their shape."""
    others = tuple(axis for axis in range(values.ndim) if axis not in axes)
    found = np.asarray(np.median(values, others, keepdims=True))
    limit = _LOOSE * (np.abs(found).max() if size is None else size)
    if not np.abs(values - found).max() <= limit:
        return None
    return found.reshape([values.shape[axis] for axis in axes])


def _agree(norm: Norm, x: Array, value: Array, tolerance: float) -> bool:
    shape = [dim if axis in norm.axes else 1 for axis, dim in enumerate(x.shape)]
    expected = normalized(x, norm.kind, norm.axes, norm.epsilon) * norm.scale.reshape(shape)
    error = np.abs(value - expected - norm.shift.reshape(shape)).max()
    return bool(error <= tolerance * np.abs(expected).max())
