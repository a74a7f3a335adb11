"""Networks of PyTorch on one chip of each family: quantized, written, read back and simulated; see README.md.

Weights are random, so the figures say how much noise integers leave, not how good a network is.
"""

from __future__ import annotations

import argparse
import copy
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import tinsmith
from tinsmith import importers
from tinsmith.graph.canonical import canonicalize
from tinsmith.graph.execute import Runner
from tinsmith.importers.hints import Hints
from torch_nets import Net, built, nets, smooth

TARGETS = ("esp32s3", "esp32p4", "esp32c3")


@dataclass(frozen=True, slots=True)
class Result:
    """A network on a chip.

    Attributes:
        snr: Of the outputs for samples that were not calibrated with, in dB.
        seconds: To quantize, without reading the model.
        bytes: Of the file.
    """

    snr: float
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A network on several chips.

    Attributes:
        reading: Seconds to read the model.
        difference: Of the canonical model's answers from PyTorch's, as a share of the largest.
        rounding: Of PyTorch's own answers from those that it gives in double precision, likewise.
        results: By target.
    """

    reading: float
    difference: float
    rounding: float
    results: tuple[Result, ...]


def measured(net: Net, targets: Sequence[str], effort: str, samples: int = 32, held: int = 8) -> Measured:
    """Read once, then quantize, write, read back and simulate for each target."""
    module = built(net)
    data, fresh = smooth(samples, net.shape, 1), smooth(held, net.shape, 2)
    with torch.no_grad():
        expected = module(fresh).double().numpy()
    start = time.perf_counter()
    model = importers.load(module, Hints(data[:1]))
    reading = time.perf_counter() - start
    canonical = canonicalize(model)
    (answer,) = Runner(canonical)({canonical.graph.inputs[0].name: fresh[:1].numpy()}).values()
    with torch.no_grad():
        exact = copy.deepcopy(module).double()(fresh[:1].double()).numpy()
    largest = float(np.abs(exact).max())
    difference = float(np.abs(answer - expected[:1]).max()) / largest
    rounding = float(np.abs(exact - expected[:1]).max()) / largest
    results = []
    for target in targets:
        start = time.perf_counter()
        quantized = tinsmith.quantize(model, data, target, effort=effort)
        seconds = time.perf_counter() - start
        with tempfile.TemporaryDirectory() as folder:
            path = quantized.save(Path(folder)).espdl
            program, size = tinsmith.read(path), path.stat().st_size
        integers = tinsmith.simulate(program, {program.inputs[0].name: fresh.numpy()})
        (found,) = tinsmith.dequantize(program, integers).values()
        noise = float(np.square(found - expected).sum())
        snr = 10 * math.log10(float(np.square(expected).sum()) / noise) if noise else math.inf
        results.append(Result(snr, seconds, size))
    return Measured(reading, difference, rounding, tuple(results))


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--networks", help="some of them, by name, with commas")
    options.add_argument("--targets", default=",".join(TARGETS), help=f"by default {','.join(TARGETS)}")
    options.add_argument("--effort", default="default", help="fast, default or best")
    options.add_argument("--samples", type=int, default=32, help="to calibrate with (default 32)")
    options.add_argument("--size", type=int, default=96, help="of pictures, in pixels (default 96)")
    return options.parse_args()


def main() -> None:
    chosen = _options()
    targets = chosen.targets.split(",")
    known = nets(chosen.size)
    console = Console(highlight=False, width=140)
    heads = [f"{target} {what}" for target in targets for what in ("dB", "s")]
    table = Table(
        "network", "from", "read s", "float", *heads, "KiB", title=f"effort {chosen.effort}, {chosen.size} pixels"
    )
    for name in chosen.networks.split(",") if chosen.networks else known:
        net = known[name]
        try:
            found = measured(net, targets, chosen.effort, chosen.samples)
        except ModuleNotFoundError as error:
            console.print(f"{name}: skipped, {error.name} is not installed")
            continue
        except tinsmith.TinsmithError as error:
            table.add_row(name, net.home or "torch", "failed")
            console.print(f"{name}: failed: {error}")
            continue
        cells = [cell for one in found.results for cell in (f"{one.snr:.1f}", f"{one.seconds:.1f}")]
        sizes = "/".join(f"{one.bytes / 1024:.0f}" for one in found.results)
        console.print(f"{name}: {found.difference:.1e} {' '.join(cells)}")
        table.add_row(name, net.home or "torch", f"{found.reading:.1f}", f"{found.difference:.0e}", *cells, sizes)
    console.print(table)


if __name__ == "__main__":
    main()
