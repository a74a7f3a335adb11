"""How far the latency model is off on models left out if the cache's limits, too, are chosen without them.

    python benchmarks/latency_limits.py PUBLISHED.csv KERNELS.csv FOLDER

Arguments are those of ``latency.py``. From which share of the cache on weights and tensors are lost is no constant of
the linear fit. Here each fold takes the limits, of those in `WEIGHTS` and `TENSORS`, that fit its own rows best.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path

import numpy as np

import latency_fit
from latency_fit import KERNEL_WEIGHT, TRUST, Row, error, fit, kernel_rows, model_rows
from tinsmith.estimate import latency
from tinsmith.estimate.latency_constants import PRIORS

Limits = tuple[float, float]
NAMES = ("WEIGHTS_KEPT", "WEIGHTS_LOST", "TENSORS_KEPT", "TENSORS_LOST")
WEIGHTS: tuple[Limits, ...] = ((0.5, 1.0), (0.5, 1.5), (0.75, 1.0), (0.8, 1.2), (0.9, 1.1), (1.0, 1.25))
TENSORS: tuple[Limits, ...] = ((0.25, 0.75), (0.25, 1.0), (0.5, 1.0), (0.5, 1.5), (0.75, 1.25))


@dataclass(frozen=True, slots=True)
class _Fold:
    loss: float
    limits: tuple[Limits, Limits]
    errors: tuple[float, ...]


def _fold(
    rows: Sequence[Row], kernels: Sequence[Row], left: str, families: bool, limits: tuple[Limits, Limits]
) -> _Fold:
    def group(row: Row) -> str:
        return row.family if families else row.model

    inside = [row for row in rows if group(row) != left]
    constants = fit([*inside, *kernels])
    loss = sum(error(row, constants) ** 2 for row in inside)
    loss += sum((KERNEL_WEIGHT * error(row, constants)) ** 2 for row in kernels)
    loss += sum(TRUST * (value / PRIORS[name] - 1) ** 2 for name, value in constants.items())
    return _Fold(loss, limits, tuple(error(row, constants) for row in rows if group(row) == left))


def _folds(published: Path, table: Path, folder: Path) -> Iterator[tuple[bool, str, _Fold]]:
    latency_fit.PACES = latency_fit.PACES[10:91:4]  # coarser, since there are many fits
    for limits in product(WEIGHTS, TENSORS):
        for name, value in zip(NAMES, chain(*limits), strict=True):
            setattr(latency, name, value)
        rows, kernels = model_rows(published, folder), kernel_rows(table)
        for families in (False, True):
            for left in sorted({row.family if families else row.model for row in rows}):
                yield families, left, _fold(rows, kernels, left, families, limits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("published", "kernels", "folder"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    best: dict[tuple[bool, str], _Fold] = {}
    for families, left, fold in _folds(arguments.published, arguments.kernels, arguments.folder):
        known = best.setdefault((families, left), fold)
        best[families, left] = min(known, fold, key=lambda one: one.loss)
    for families in (False, True):
        folds = {left: fold for (kind, left), fold in best.items() if kind is families}
        for left, fold in folds.items():
            print(f"{left:42} weights {fold.limits[0]}, tensors {fold.limits[1]}", *(f"{e:+.1%}" for e in fold.errors))
        sizes = np.abs([share for fold in folds.values() for share in fold.errors])
        print(f"{'family' if families else 'model'} left out: median {np.median(sizes):.1%}, worst {sizes.max():.1%}\n")


if __name__ == "__main__":
    main()
