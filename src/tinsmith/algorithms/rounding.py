"""Rounding that knows the data: weights rounded together, so that the layer's output changes least.

Rounding each weight to the nearest integer is best only if the inputs it multiplies are unrelated. They are not: with
H the second moments of what meets the weights of one output channel, an error d in those weights costs d·H·d. Weights
are rounded one after the other, and what rounding took from one is made good by those still to come (Optimal Brain
Quantization in the order and with the factorization of GPTQ: E. Frantar et al., "GPTQ: Accurate Post-Training
Quantization for Generative Pre-trained Transformers", 2022). The inputs are those the chip has at that place, and the
weights that are rounded those that expect them (`tinsmith.algorithms.alignment`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tinsmith.algorithms.alignment import aligned, ridge_of
from tinsmith.algorithms.bias_correction import with_corrected_bias
from tinsmith.algorithms.float_nodes import FloatNodes
from tinsmith.algorithms.sensitivity import window
from tinsmith.algorithms.walk import Adjusted, Visit
from tinsmith.ops.floatnode import Array, FloatNode, Operand
from tinsmith.ops.passage import Weighted
from tinsmith.quant.rounding import qrange

DAMPING = 0.01
"""Added to the diagonal of the moments, relative to its mean: data not seen differ a little. The number of weights over
that of positions is added to it."""
LARGEST = 1536
"""Weights per output channel beyond which the moments would cost more than they bring."""
ROWS = 4096
"""So many positions, and at least four for each weight, make the moments."""
BLOCK = 64

Reals = NDArray[np.float64]


def round_weights(visit: Visit) -> Adjusted:
    """The node with weights on the grid of their format, rounded for the data, and its bias corrected.

    The format's exponents are those chosen before, or finer by one where the layer's output errs less with these
    although its largest weights saturate; where exponents are per channel, each channel for itself.
    """
    matrix = _matrix(visit)
    if matrix is None or visit.format.bits != 8:
        return with_corrected_bias(visit, Adjusted(visit.node, visit.format))
    met = _moments(visit, matrix.shape)
    moments, scarcity = met.own, matrix.shape[1] / max(met.positions, 1)
    matrix = aligned(matrix, moments, met.cross, ridge_of(matrix.shape[1], met.positions))
    exponents = np.broadcast_to(np.asarray(visit.format.exponents), (len(matrix),))
    tried = _on_grids(matrix, moments, np.stack([exponents, exponents - 1]), DAMPING + scarcity)
    errors = np.stack([_errors(matrix - weights, moments) for weights in tried])
    finer = _finer(errors, per_channel=visit.format.axis is not None)
    made = _made(visit, np.where(finer[:, None], tried[1], tried[0]), exponents - finer)
    if finer.any() and not visit.fits(made.node, made.format):
        return _made(visit, tried[0], exponents)
    return made


def _finer(errors: Reals, *, per_channel: bool) -> NDArray[np.bool_]:
    """For which channels the finer exponents err less: (2, channels) errors → (channels,)."""
    if per_channel:
        return np.asarray(errors[1] < errors[0])
    return np.full(errors.shape[1], errors[1].sum() < errors[0].sum())


def _made(visit: Visit, matrix: Reals, exponents: NDArray[np.int64]) -> Adjusted:
    """The node with these weights, and its bias corrected."""
    index = visit.weighted.weights
    inputs = list(visit.node.inputs)
    old = visit.node.input(index)
    inputs[index] = replace(old, const=_unfolded(matrix, visit.weighted, old.shape))
    chosen = tuple(int(exponent) for exponent in exponents[: len(visit.format.exponents)])
    given = Adjusted(replace(visit.node, inputs=tuple(inputs)), replace(visit.format, exponents=chosen))
    return with_corrected_bias(visit, given)


def _on_grids(matrix: Reals, moments: Reals, exponents: NDArray[np.int64], damping: float = DAMPING) -> Reals:
    """The weights on the grids of some rows' exponents, (…, channels) → (…, channels, K)."""
    steps = np.ldexp(1.0, exponents)[..., None]
    return rounded(matrix, moments, steps, damping) * steps


def _errors(errors: Reals, moments: Reals) -> Reals:
    """Squared error of each output channel about its mean."""
    if len(moments) == 1:
        found: Reals = np.einsum("ci,ci->c", errors @ moments[0], errors)
        return found
    return np.asarray(np.einsum("ci,cij,cj->c", errors, moments, errors))


def rounded(weights: Reals, moments: Reals, steps: Reals, damping: float = DAMPING, bits: int = 8) -> Reals:
    """Integers such that ``Σ (w - q·step)·moments·(w - q·step)`` is small.

    Args:
        weights: (channels, K).
        moments: (1, K, K) for all channels, or (channels, K, K), one for each; symmetric, positive semidefinite.
        steps: (…, channels, 1).
        damping: Added to the moments' diagonals, relative to their mean.
        bits: Width of the integers.

    Returns:
        (…, channels, K).
    """
    low, high = qrange(bits)
    diagonals = np.diagonal(moments, axis1=1, axis2=2)
    order = np.argsort(-diagonals, axis=1, kind="stable")
    upper = _factors(moments, order, damping * diagonals.mean(axis=1) + 1e-30)
    left = np.take_along_axis(weights, order, axis=1) * np.ones_like(steps)
    found = np.empty_like(left)
    count = weights.shape[1]
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        errors = np.empty((*left.shape[:-1], stop - start))
        for column in range(start, stop):
            integers = np.clip(np.rint(left[..., column] / steps[..., 0]), low, high)
            found[..., column] = integers
            error = (left[..., column] - integers * steps[..., 0]) / upper[:, column, column]
            left[..., column + 1 : stop] -= error[..., None] * upper[:, column, column + 1 : stop]
            errors[..., column - start] = error
        if stop < count:
            left[..., stop:] -= _carried(errors, upper[:, start:stop, stop:])
    back = np.empty_like(found)
    np.put_along_axis(back, np.broadcast_to(order, found.shape), found, axis=-1)
    return back


def _factors(moments: Reals, order: NDArray[np.int64], damping: Reals) -> Reals:
    """What an error in one weight takes from those behind it in the order: upper triangles, (1 or channels, K, K)."""
    rows = np.take_along_axis(moments, order[:, :, None], axis=1)
    damped = np.take_along_axis(rows, order[:, None, :], axis=2)
    damped = damped + damping[:, None, None] * np.eye(moments.shape[1])
    lower: Reals = np.linalg.cholesky(np.linalg.inv(damped))
    return lower.transpose(0, 2, 1)


def _carried(errors: Reals, upper: Reals) -> Reals:
    """What a block's errors, (…, channels, block), take from all weights behind it."""
    found: Reals = errors @ upper[0] if len(upper) == 1 else (errors[..., None, :] @ upper)[..., 0, :]
    return found


def _matrix(visit: Visit) -> Reals | None:
    """The weights, one row for each output channel; None where that costs too much or is not known."""
    weighted = visit.weighted
    if weighted.columns is None and weighted.rows == 0 and visit.weights.shape[1] != 1:
        return None
    if weighted.columns is None and visit.node.op_type == "ConvTranspose":
        return None
    windows = window(visit.weights.astype(np.float64), weighted)
    matrix = windows.reshape(len(windows), -1)
    return matrix if 1 < matrix.shape[1] <= LARGEST else None


def _unfolded(matrix: Reals, weighted: Weighted, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Rows of `_matrix` as weights again."""
    rows_first = [weighted.rows, *(d for d in range(len(shape)) if d != weighted.rows)]
    if weighted.columns is not None:
        rest = [d for d in rows_first[1:] if d != weighted.columns]
        rows_first = [weighted.rows, weighted.columns, *rest]
    turned = matrix.reshape([shape[d] for d in rows_first])
    return np.ascontiguousarray(turned.transpose(np.argsort(rows_first)), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Met:
    """What meets one output channel's weights.

    Attributes:
        own: Second moments about the mean of what meets them on the chip, (1 or channels, K, K).
        cross: Those of what meets them in the float network with it.
        positions: How many positions were seen.
    """

    own: Reals
    cross: Reals
    positions: int


def _moments(visit: Visit, shape: tuple[int, int]) -> _Met:
    channels, count = shape
    run = _meeting(visit, count)
    chips, reals = (_positions(visit, run, array, count) for array in (visit.chip, visit.real))
    parts = (channels, count, -1) if visit.weighted.columns is None else (1, count, -1)
    met = chips.reshape(parts)
    turned = met.transpose(0, 2, 1) / np.float32(max(chips.shape[1], 1))
    own, cross = ((one @ turned).astype(np.float64) for one in (met, reals.reshape(parts)))
    return _Met(own, cross, chips.shape[1])


def _positions(
    visit: Visit, run: Callable[[Array], Array], array: Callable[[int], Array], count: int
) -> NDArray[np.float32]:
    """What meets the weights, about its mean, at some positions of all samples: (weights, positions)."""
    share = max(1, max(ROWS, 4 * count) // visit.count)

    def one(index: int) -> Array:
        met = run(array(index))
        flat = np.moveaxis(met, visit.weighted.channels, 0).reshape(met.shape[visit.weighted.channels], -1)
        stride = max(1, flat.shape[1] // share) | 1
        return flat[:, index % stride :: stride]

    table = np.concatenate(visit.run_all(one), axis=1)
    centred: NDArray[np.float32] = table - table.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    return centred


def _meeting(visit: Visit, count: int) -> Callable[[Array], Array]:
    """From input 0 to the numbers that meet each weight of an output channel, in place of the output's channels.

    That is the node with unit weights; where it has no window, its input.
    """
    node, weighted = visit.node, visit.weighted
    if _pointwise(node, weighted):
        return lambda array: array
    old = node.input(weighted.weights)
    repeats = old.shape[weighted.rows] if weighted.columns is None else 1
    units = np.tile(np.eye(count, dtype=np.float32), (repeats, 1))
    shape = list(old.shape)
    shape[weighted.rows] = count * repeats
    weights = _unfolded(units.astype(np.float64), weighted, tuple(shape))
    output = node.outputs[0]
    extents = list(output.shape)
    extents[weighted.channels] = count * repeats
    inputs = (node.inputs[0], Operand(old.name, tuple(shape), weights.dtype, weights))
    result = replace(output, shape=tuple(extents))
    run = FloatNodes([replace(node, inputs=inputs, outputs=(result,))], [result])
    return lambda array: run({node.input(0).name: array})[output.name]


def _pointwise(node: FloatNode, weighted: Weighted) -> bool:
    """Whether each position of the output sees the same position of the input, and all its channels."""
    source, output = node.input(0), node.outputs[0]
    kernel = node.input(weighted.weights).shape[2:]
    same = source.shape[2:] == output.shape[2:] and all(extent == 1 for extent in kernel)
    return node.op_type == "Conv" and weighted.columns is not None and same and not any(node.integers("pads", ()))
