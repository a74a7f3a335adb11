"""What quantization costs, as one number in percent: the *drop*.

With labels it is the points of top-1 that are lost against the float network. Without, a class other than the float
network's is what is lost; on a few dozen samples, counting these is too coarse to compare two ways to quantize, so
the expected number is computed from how far the best class is ahead and how large errors are. Outputs that are no
class scores have an angle to the float network's instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.errors import DataError

Array = NDArray[Any]
Reals = NDArray[np.float64]

RIVALS = 5
"""Classes behind the best one whose errors count: others never win."""
POOLED = 8
"""What all samples have in common counts as so many classes in each sample's variance."""
SMOOTHING = 0.5
"""Distances between the two best classes are spread by so much of their median: few samples tell little about how many
are nearly equal, and these decide. Of 0 to 0.5, on subsets of 64 samples of four networks, the largest misses the
disagreement on all samples least: mostly by 0.2 to 0.7 points, where 0 misses it by 1."""
_SPREAD = 41
"""Points of that spread."""
_CLASSES = 16
"""Classes of each of these samples that count: the first ones."""
_NODES = 96
"""Of the quadrature over the winner's own error."""
_FAR = 12.0
"""Margins of so many standard deviations are never overcome."""


def drop(
    chip: Mapping[str, Array],
    wanted: Mapping[str, Array],
    labels: NDArray[np.int64] | None = None,
    known: Mapping[str, Array] | None = None,
) -> float:
    """What is lost of a network's outputs, in percent; of several outputs, at the one that loses most.

    Args:
        chip: Outputs as the chip computes them, real numbers, the samples along axis 0.
        wanted: The same of the float network.
        labels: The class of every sample, (N,), where they are known.
        known: The float network's outputs on more samples: see `disagreement`.

    Returns:
        With labels: `top1_lost`. Without: the largest of `disagreement` for class scores and `angle` for the others.

    Raises:
        DataError: There are labels, and no single output with class scores, or not a label for every sample.
    """
    scores = [name for name, array in wanted.items() if is_scores(array.shape)]
    if labels is not None:
        if len(scores) != 1:
            hint = "Leave the labels out: closeness to the float network is measured then."
            raise DataError(f"the model has {len(scores)} outputs with class scores.", subject="labels", hint=hint)
        (name,) = scores
        if labels.shape != wanted[name].shape[:1]:
            reason = f"there are {labels.size} for {len(wanted[name])} samples."
            raise DataError(reason, subject="labels", hint="Give one for each sample.")
        return top1_lost(chip[name], wanted[name], labels)
    lost = [
        disagreement(chip[name], array, None if known is None else known[name])
        if name in scores
        else angle(chip[name], array)
        for name, array in wanted.items()
        if array.dtype.kind == "f"
    ]
    return max(lost, default=0.0)


def is_scores(shape: tuple[int, ...]) -> bool:
    """Whether an array of that shape, the samples along axis 0, has one score for every class."""
    return sum(extent > 1 for extent in shape[1:]) == 1


def top1_lost(chip: Array, wanted: Array, labels: NDArray[np.int64]) -> float:
    """Points of top-1 accuracy that the chip has less than the float network; negative where it has more.

    Args:
        chip: Scores, (N, …) with one axis longer than 1.
        wanted: The float network's.
        labels: (N,).
    """
    right = [np.count_nonzero(_rows(scores).argmax(axis=1) == labels) for scores in (wanted, chip)]
    return 100.0 * (right[0] - right[1]) / len(labels)


def angle(chip: Array, wanted: Array) -> float:
    """(1 - cosine) · 100 of all elements of all samples together."""
    ours, theirs = chip.astype(np.float64).ravel(), wanted.astype(np.float64).ravel()
    lengths = math.sqrt(float(ours @ ours)) * math.sqrt(float(theirs @ theirs))
    if lengths == 0:
        return 0.0 if np.array_equal(ours, theirs) else 100.0
    return max(0.0, 100.0 * (1 - float(ours @ theirs) / lengths))


def disagreement(chip: Array, wanted: Array, known: Array | None = None) -> float:
    """Percent of samples for which another class is expected to win on the chip than in the float network.

    The chip's scores are taken as ``b·z + e``: z the float network's scores, b one number for all samples (scores that
    are all smaller change no order), e independent normal errors of standard deviation s, one for each sample. With a
    the best class of a sample, its probability to stay ahead of all others is

        P = ∫ φ(t) · Π_{j≠a} Φ(b·(z_a - z_j)/s + t) dt

    and the result is 100 · mean(1 - P); classes exactly level with the best are as right as it. Errors are larger on
    classes that the network takes into consideration than on the others. So b and the mean of s² are those of the
    `RIVALS` classes closest to the best: b is fitted by least squares to how far the best is ahead of each, and half of
    what is left, squared, is s². That is spread over samples as the variance of their errors over all classes is, which
    counts as much as there are classes, against `POOLED`.

    Args:
        chip: Scores, (N, …) with one axis longer than 1.
        wanted: The float network's.
        known: The float network's on as many samples as there are, (M, …). Then z is from these, with one mean s for
            all, and how far the best class is ahead is spread by `SMOOTHING`.
    """
    theirs = _rows(wanted)
    deviations, stretch = _errors(_rows(chip), theirs)
    if known is None:
        lost = [1 - stays_ahead(stretch * _rivals(row), s) for row, s in zip(theirs, deviations, strict=True)]
    else:
        common = float(np.sqrt(np.square(deviations).mean()))
        lost = [1 - stays_ahead(stretch * row, common) for rows in _spread(_rows(known)) for row in rows]
    return 100.0 * float(np.mean(lost))


def _spread(scores: Reals) -> Iterator[Reals]:
    """Every sample's rivals several times, the best class as far ahead as it is or about as far."""
    samples = [np.sort(_rivals(row))[-_CLASSES:] for row in scores]
    ahead = [row[-1] - row[-2] if len(row) > 1 else 0.0 for row in samples]
    points = [NormalDist().inv_cdf((index + 0.5) / _SPREAD) for index in range(_SPREAD)]
    width = SMOOTHING * float(np.median(ahead))
    for row, distance in zip(samples, ahead, strict=True):
        rows = np.tile(row, (_SPREAD, 1))
        rows[:, -1] += np.abs(distance + width * np.asarray(points)) - distance
        yield rows


def stays_ahead(scores: Reals, deviation: float) -> float:
    """Probability that the best of some scores is the best after normal errors, independent and of one deviation.

    Args:
        scores: (classes,).
        deviation: 0 or more.
    """
    margins = scores.max() - np.delete(scores, scores.argmax())
    if deviation <= 0:
        return float(np.all(margins >= 0))
    near = margins[margins < _FAR * deviation] / deviation
    if not near.size:
        return 1.0
    points, weights = _quadrature()
    behind = _normal(near[None, :] + points[:, None]).prod(axis=1)
    return float(weights @ behind)


def _rivals(scores: Reals) -> Reals:
    """The best class, once, and those that are behind."""
    best = scores.max()
    return np.append(scores[scores < best], best)


def _errors(chip: Reals, wanted: Reals) -> tuple[Reals, float]:
    """Each sample's standard deviation, and what the float network's scores are multiplied by."""
    freedom = wanted.shape[1] - 1
    order = np.argsort(-wanted, axis=1, kind="stable")[:, : RIVALS + 1]
    ahead, found = (_ahead(np.take_along_axis(scores, order, axis=1)) for scores in (wanted, chip))
    stretch = max(float((ahead * found).sum() / max((ahead * ahead).sum(), 1e-300)), 0.0)
    variance = float(np.square(found - stretch * ahead).mean()) / 2
    own = np.var(chip - stretch * wanted, axis=1)
    spread = (freedom * own / max(float(own.mean()), 1e-300) + POOLED) / (freedom + POOLED)
    return np.sqrt(variance * spread), stretch


def _ahead(scores: Reals) -> Reals:
    """How far the first class is ahead of the others."""
    return scores[:, :1] - scores[:, 1:]


def _rows(scores: Array) -> Reals:
    return scores.reshape(len(scores), -1).astype(np.float64)


@cache
def _quadrature() -> tuple[Reals, Reals]:
    """Points and weights for the mean over a normal distribution."""
    points, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return points, weights / weights.sum()


@cache
def _table() -> tuple[Reals, Reals]:
    x = np.linspace(-9.0, 9.0, 18 * 512 + 1)
    return x, np.asarray([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])


def _normal(x: Reals) -> Reals:
    """The normal distribution function, to 1e-7."""
    found: Reals = np.interp(x, *_table())
    return found
