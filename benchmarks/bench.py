"""Speed of tinsmith beside plain ONNX Runtime, and beside esp-ppq where it is installed; see README.md."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterable
from pathlib import Path

import measures
import onnxruntime as ort
from install_size import installing
from rich.console import Console
from rich.table import Table
from workloads import workloads

import tinsmith


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__)
    folder = os.environ.get("TINSMITH_BENCH_MODELS")
    options.add_argument("--models", type=Path, default=Path(folder) if folder else None, help="folder of .onnx files")
    options.add_argument("--data", type=Path, help="folder of pictures; by default the one above --models")
    options.add_argument("--images", type=int, default=32, help="how many images (default 32)")
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
    console = Console()
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
    found, skipped = workloads(chosen.models, chosen.data or chosen.models.parent, chosen.images)
    for line in skipped:
        console.print(line)
    for workload in found:
        figures = [
            *measures.simulation(workload, chosen.rounds),
            *measures.quantizing(workload, min(chosen.rounds, 3)),
            *measures.writing(workload, chosen.rounds),
        ]
        if chosen.memory:
            figures += measures.memory(workload)
        if chosen.peer_python:
            figures += measures.peer(workload, chosen.peer_python)
        what = "pictures" if workload.real else "images of noise"
        _show(console, f"{workload.name}, {len(workload.images)} {what}", figures)


if __name__ == "__main__":
    main()
