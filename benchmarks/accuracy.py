"""What quantization costs in accuracy: float and on-chip top-1, agreement, net flips and SNR; see README.md."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

import tinsmith
from networks import CASES, Case, found

NETWORKS = ("signdigits", "resnet8", "kws", "vww", "mobilenetv2")
TARGETS = ("esp32s3", "esp32p4")
COLUMNS = ("network", "samples", "chip", "width", "float", "on chip", "agreement", "net flips", "SNR", "seconds")


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder of data, with the models in models/")
    options.add_argument("--networks", default=",".join(NETWORKS), help=f"of {', '.join(CASES)}")
    options.add_argument("--targets", default=",".join(TARGETS))
    options.add_argument("--bits", default="8,16")
    options.add_argument("--calibration", default="mse", help="mse, minmax, percentile or kl")
    options.add_argument("--samples", type=int, help="at most so many held samples")
    return options.parse_args()


def row(case: Case, target: str, bits: int, calibration: str) -> tuple[str, ...]:
    """One line of the table: the case quantized with its 64 calibration samples, run on all its held ones."""
    start = time.perf_counter()
    quantized = tinsmith.quantize(case.model, case.calibration, target, bits=bits, calibration=calibration)
    result = tinsmith.evaluate(quantized.program, case.samples, case.labels, case.model)
    took = time.perf_counter() - start
    assert result.top1 is not None, "labels were given"
    assert result.float_top1 is not None, "the float model was given"
    assert result.agreement is not None, "the float model was given"
    (fidelity,) = result.outputs.values()
    return (
        case.name,
        f"{result.samples}",
        target,
        f"int{bits}",
        f"{result.float_top1:.2%}",
        f"{result.top1:.2%}",
        f"{result.agreement:.2%}",
        f"{result.net_flips:+d}",
        f"{fidelity.snr_db:.1f} dB",
        f"{took:.1f}",
    )


def main() -> None:
    chosen = _options()
    table = Table(*COLUMNS)
    skipped = []
    jobs = [(target, int(bits)) for bits in chosen.bits.split(",") for target in chosen.targets.split(",")]
    for case in found(chosen.networks.split(","), chosen.data, chosen.samples):
        if isinstance(case, str):
            skipped.append(case)
            continue
        for target, bits in track(jobs, case.name, console=Console(file=sys.stderr), transient=True):
            table.add_row(*row(case, target, bits, chosen.calibration))
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=140)
    if table.row_count:
        console.print(table)
    for line in skipped:
        console.print(line)


if __name__ == "__main__":
    main()
