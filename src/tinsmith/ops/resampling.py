"""Resampling by a matrix along one dimension: what its structure allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
MOST_PHASES = 8
CLOSE = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Phases:
    """A matrix as `count` convolutions of stride 1 whose results alternate.

    Attributes:
        kernels: (count, taps): output element q·count + p is the sum of kernels[p] · x[q - before … q + after].
        before, after: Elements read beside element q; outside the input, its edge is repeated.
    """

    kernels: Matrix
    before: int
    after: int

    @property
    def count(self) -> int:
        """Output elements for each input element."""
        return len(self.kernels)


def phases(matrix: Matrix) -> Phases | None:
    """The matrix as `Phases`, None where it is not one: no whole factor, or rows that do not repeat."""
    result, length = matrix.shape
    count = result // length
    if result % length or not 1 < count <= MOST_PHASES or length < 2:
        return None
    middle = length // 2
    rows = matrix[middle * count : (middle + 1) * count]
    columns = np.flatnonzero(np.abs(rows).max(axis=0) > CLOSE)
    if not columns.size:
        return None
    before, after = max(0, middle - int(columns[0])), max(0, int(columns[-1]) - middle)
    found = Phases(rows[:, middle - before : middle + after + 1], before, after)
    return found if np.abs(_expanded(found, length) - matrix).max() <= CLOSE else None


def _expanded(found: Phases, length: int) -> Matrix:
    """The matrix that phases stand for."""
    matrix = np.zeros((length, found.count, length))
    for q in range(length):
        for tap in range(found.kernels.shape[1]):
            matrix[q, :, min(max(q - found.before + tap, 0), length - 1)] += found.kernels[:, tap]
    return matrix.reshape(length * found.count, length)
