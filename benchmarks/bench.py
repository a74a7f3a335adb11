"""Speed of tinsmith beside plain ONNX Runtime, and beside esp-ppq where it is installed; see README.md."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterable
from pathlib import Path

import onnxruntime as ort
from rich.console import Console
from rich.table import Table

import measures
import tinsmith
from install_size import installing
from networks import CASES, found

NETWORKS = {"mobilenetv2": 64, "resnet8": 512}
"""What is timed, on how many held images."""


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__)
    folder = os.environ.get("TINSMITH_BENCH_MODELS")
    options.add_argument("--models", type=Path, default=Path(folder) if folder else None, help="folder of .onnx files")
    options.add_argument("--data", type=Path, help="folder of pictures; by default the one above --models")
    options.add_argument("--networks", default=",".join(NETWORKS), help=f"of {', '.join(CASES)}")
    options.add_argument("--rounds", type=int, default=5, help="runs behind each median (default 5)")
    options.add_argument("--peer-python", help="an interpreter with esp-ppq")
    options.add_argument("--memory", action="store_true", help="peak memory with 32 and with 500 images, too")
    options.add_argument("--install", action="store_true", help="size of a fresh install, too")
    return options.parse_args()


def _show(console: Console, title: str, figures: Iterable[measures.Figure]) -> None:
    table = Table("measured", "figure", "beside", "promised", "", title=title, title_justify="left")
    verdicts = {True: "[green]kept", False: "[red]broken", None: ""}
    for figure in figures:
        table.add_row(figure.what, figure.value, figure.ratio, figure.bound, verdicts[figure.kept])
    console.print(table)


def main() -> None:
    chosen = _options()
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    console.print(
        f"tinsmith {tinsmith.__version__}, ONNX Runtime {ort.__version__}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, {measures.THREADS} threads, medians of {chosen.rounds}"
    )
    _show(console, "Starting", measures.starting(max(chosen.rounds, 5)))
    if chosen.install:
        _show(console, "Installing", installing())
    if chosen.models is None:
        console.print("Networks: skipped, no folder of models is given (--models or TINSMITH_BENCH_MODELS)")
        return
    for name in chosen.networks.split(","):
        for case in found([name], chosen.data or chosen.models.parent, NETWORKS.get(name, 64), chosen.models):
            if isinstance(case, str):
                console.print(case)
                continue
            _show(console, f"{name}, {len(case.samples)} images", measures.simulation(case, chosen.rounds))
            figures = measures.quantizing(case, min(chosen.rounds, 3)) + measures.writing(case, chosen.rounds)
            if chosen.memory:
                figures += measures.memory(case)
            if chosen.peer_python:
                figures += measures.peer(case, chosen.peer_python)
            _show(console, f"{name}, quantizing and writing", figures)


if __name__ == "__main__":
    main()
