"""What one run of the accuracy comparison found, kept as one JSON file, and the statistics of it."""

from __future__ import annotations

import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

OURS, PEER = "tinsmith", "esp-ppq"


@dataclass(frozen=True)
class Run:
    """What is measured: these fields name the file of its outcome.

    Attributes:
        network: A key of `networks.CASES`.
        target: The chip.
        tool: `OURS` or `PEER`.
        row: Its name in the tables.
        options: What the tool is asked for; a kept outcome with other options is not this run's.
        draw: Which draw of calibration samples; None for the fixed split.
        most: At most so many held samples; None for all.
    """

    network: str
    target: str
    tool: str
    row: str
    options: Mapping[str, Any] = field(default_factory=dict)
    draw: int | None = None
    most: int | None = None

    @property
    def place(self) -> Path:
        """The file of its outcome, below the folder of results."""
        drawn = "" if self.draw is None else f"-draw{self.draw}"
        cut = "" if self.most is None else f"-first{self.most}"
        name = re.sub(r"[^\w.+-]+", "_", f"{self.tool}-{self.row}{drawn}{cut}")
        return Path(self.network) / self.target / f"{name}.json"


@dataclass(frozen=True)
class Paired:
    """A difference between two runs on the same samples, in points of accuracy.

    Attributes:
        points: Mean of (first right - second right), times 100.
        error: Its standard error: standard deviation of the differences / √samples.
    """

    points: float
    error: float

    def __str__(self) -> str:
        return f"{self.points:+.2f} ± {self.error:.2f}"


@dataclass(frozen=True)
class Outcome:
    """What a run found.

    Attributes:
        run: What was measured.
        labels: The class of each held sample.
        floats: The float network's answers.
        answers: The answers on the chip; empty where the run failed.
        snr_db: Signal to noise ratio of the outputs, in dB, over all held samples.
        seconds: Wall time of quantizing, without reading data, writing files and evaluation.
        cpu_seconds: Processor time of the same.
        load: Other load on the machine when it began (1-minute load average).
        failed: Why there is no result.
        own_executor: The answers are those of the tool's own executor, as its file could not be run.
        notes: What else is to be said.
        version: Of the tool.
        machine: Where it was measured.
        measured: The day.
    """

    run: Run
    labels: Sequence[int]
    floats: Sequence[int]
    answers: Sequence[int] = ()
    snr_db: float = math.nan
    seconds: float = math.nan
    cpu_seconds: float = math.nan
    load: float = 0.0
    failed: str | None = None
    own_executor: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    machine: str = ""
    measured: str = ""

    @property
    def samples(self) -> int:
        return len(self.labels)

    @property
    def starved(self) -> bool:
        """Whether it waited for a processor that others used: its wall time is not its own."""
        return self.cpu_seconds < 0.8 * self.seconds

    @property
    def float_accuracy(self) -> float:
        """Share of held samples that the float network has right, in percent."""
        return 100 * float(np.mean(self.right(self.floats)))

    @property
    def accuracy(self) -> float:
        """Share of held samples that the chip has right, in percent."""
        return 100 * float(np.mean(self.right(self.answers)))

    @property
    def agreement(self) -> float:
        """Share of held samples on which chip and float network answer the same, in percent."""
        return 100 * float(np.mean(np.equal(self.answers, self.floats)))

    @property
    def net_flips(self) -> int:
        """Samples only the float network has right, less those only the chip has right."""
        return int(self.right(self.floats).sum() - self.right(self.answers).sum())

    @property
    def to_float(self) -> Paired:
        """The chip less the float network."""
        return paired(self.right(self.answers), self.right(self.floats))

    def to_other(self, other: Outcome) -> Paired:
        """This chip's answers less those of another run.

        Raises:
            ValueError: The two were not measured on the same samples.
        """
        if list(self.labels) != list(other.labels) or list(self.floats) != list(other.floats):
            raise ValueError(f"{self.run.place} and {other.run.place} were measured on different samples")
        return paired(self.right(self.answers), other.right(other.answers))

    def right(self, answers: Sequence[int]) -> Array:
        return np.equal(answers, self.labels)


def paired(first: Array, second: Array) -> Paired:
    """The paired difference of two boolean arrays, one element per sample."""
    differences = first.astype(np.float64) - second.astype(np.float64)
    return Paired(100 * float(differences.mean()), 100 * float(differences.std() / math.sqrt(len(differences))))


def snr_db(chip: Array, reference: Array) -> float:
    """10·log10(Σ reference² / Σ (chip - reference)²)."""
    signal, noise = (float(np.square(a, dtype=np.float64).sum()) for a in (reference, chip - reference))
    return math.inf if noise == 0 else 10 * math.log10(signal / noise) if signal else -math.inf


def save(outcome: Outcome, results: Path) -> None:
    """Keep an outcome; its file is there in full or not at all."""
    path = results / outcome.run.place
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(outcome)) + "\n", "utf-8")
    part.replace(path)


def load(path: Path) -> Outcome:
    """An outcome that `save` wrote."""
    found = json.loads(path.read_text("utf-8"))
    known = {one.name for one in fields(Outcome)}
    return Outcome(**{**{name: found[name] for name in known & found.keys()}, "run": Run(**found["run"])})


def kept(run: Run, results: Path) -> Outcome | None:
    """The outcome of this very run, if there is one; a failure of ours is to be tried again."""
    path = results / run.place
    if not path.is_file():
        return None
    outcome = load(path)
    lost = outcome.failed is not None and run.tool == OURS
    return outcome if outcome.run == run and not lost else None


def all_kept(results: Path) -> list[Outcome]:
    """Every outcome below a folder, in the order of their files."""
    return [load(path) for path in sorted(results.glob("*/*/*.json"))]


def machine() -> str:
    """The processor, its cores, and the Python that runs."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists() and (found := re.search(r"^model name\s*:\s*(.+)$", info.read_text(), flags=re.MULTILINE)):
        name = found[1]
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}"
