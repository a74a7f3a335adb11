"""Fits the constants of the latency model, and says how far it is off.

    python benchmarks/latency.py PUBLISHED.csv KERNELS.csv FOLDER [--check OTHER.csv OTHER_FOLDER] [--in-flash …]

FOLDER holds the `.espdl` files named in PUBLISHED.csv, as ``target__model``. Prints each row's error with the constants
fitted on all rows, without its model, and without its family of models; then the constants, to be pasted into
`tinsmith.estimate.latency_constants`. ``--check`` predicts other measurements with the constants that tinsmith has.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latency_fit import IN_FLASH, MODES, Row, error, fit, kernel_rows, left_out, model_rows
from tinsmith.estimate.latency import milliseconds
from tinsmith.estimate.latency_constants import FITTED


def _summary(title: str, errors: Sequence[float]) -> str:
    sizes = np.abs(errors)
    return f"{title}: median {np.median(sizes):.1%}, worst {np.max(sizes):.1%}"


def _report(rows: Sequence[Row], kernels: Sequence[Row]) -> None:
    constants = fit([*rows, *kernels])
    inside = [error(row, constants) for row in rows]
    model, family = left_out(rows, kernels), left_out(rows, kernels, families=True)
    print("| model | chip | cores | measured ms | fitted | model left out | family left out |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for row, *errors in zip(rows, inside, model, family, strict=True):
        shares = " | ".join(f"{share:+.1%}" for share in errors)
        print(f"| {Path(row.model).stem} | {row.target} | {MODES[row.mode]} | {row.measured:.1f} | {shares} |")
    print("\n| kernel | chip | measured ms | fitted |\n| --- | --- | ---: | ---: |")
    for row in kernels:
        print(f"| {row.model} | {row.target} | {row.measured:.3f} | {error(row, constants):+.1%} |")
    print()
    print(_summary("in the fit", inside))
    print(_summary("model left out", model))
    print(_summary("family left out", family))
    print("FITTED = {")
    for name, value in constants.items():
        print(f'    "{name}": {float(f"{value:.3g}")!r},')
    print("}")


def _check(rows: Sequence[Row]) -> None:
    errors = [error(row, FITTED) for row in rows]
    for row, off in zip(rows, errors, strict=True):
        estimate = milliseconds(row.amounts, row.target)
        print(f"{row.model:42}{row.target:9}{row.mode:12}{row.measured:10.1f}{estimate:10.1f}{off:9.1%}")
    print(_summary("with tinsmith's constants", errors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("published", type=Path)
    parser.add_argument("kernels", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", nargs=2, type=Path, metavar=("CSV", "FOLDER"))
    parser.add_argument(
        "--in-flash",
        nargs="*",
        default=list(IN_FLASH),
        metavar="PATTERN",
        help="target:model, measured that way",
    )
    arguments = parser.parse_args()
    _report(model_rows(arguments.published, arguments.folder, arguments.in_flash), kernel_rows(arguments.kernels))
    if arguments.check:
        table, folder = arguments.check
        _check(model_rows(table, folder, arguments.in_flash))


if __name__ == "__main__":
    main()
