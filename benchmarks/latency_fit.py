"""Measured times as sums of what the latency model counts, and the constants that fit them best.

For each pace of the ESP32-P4, a time is linear in the other constants, so a fit is a least squares problem: relative
errors of all rows, and the constants' relative distance from `PRIORS`, which holds them where rows say nothing about
them. None is negative. The pace is the best one of many.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinsmith import espdl, targets
from tinsmith.estimate.latency import FIXED, Place, memory_of, milliseconds, quantities, usual_place
from tinsmith.estimate.latency_constants import PRIORS
from tinsmith.estimate.work import NodeWork, work_of, works
from tinsmith.ops.call import Arg, Call
from tinsmith.program import DType, Node, Tensor, Value

Array = NDArray[Any]
IN_FLASH = ("esp32s3:coco_*",)
"""Which models were measured with their parameters in flash: ESP-DL's own YOLO11 components do not copy them on boards
with less than 9 MB of PSRAM. Its other components do, whatever the model."""
TRUST = 0.1
"""Weight of a prior beside a row: rows are believed to 10 %, priors to about 30 %."""
PACE = "esp32p4 pace"
PACES = [percent / 100 for percent in range(40, 161)]
KERNEL_WEIGHT = 0.5
"""Weight of a single kernel's time beside a whole model's."""
MODES = {"default": 1, "single_core": 1, "multi_core": 2}
"""Cores by mode. ESP-DL's default is one core, and the rows agree."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured time and what it is made of."""

    model: str
    target: str
    mode: str
    measured: float
    amounts: Mapping[str, float]

    @property
    def family(self) -> str:
        """What is left out together in the stricter test: models that are alike, whatever their input's size."""
        kinds = ("espdet", "human_face", "mobilenetv2", "yolo11")
        return next((kind for kind in kinds if kind in self.model), self.model)


def model_rows(table: Path, folder: Path, in_flash: Sequence[str] = IN_FLASH) -> list[Row]:
    """Whole models: rows with ``model``, ``target``, ``mode``, ``latency_ms``; files are ``target__model``."""
    rows = []
    for line in csv.DictReader(table.open(encoding="utf-8")):
        target = targets.find(line["target"])
        program = espdl.decode((folder / f"{line['target']}__{line['model']}").read_bytes())
        listed = any(fnmatch(f"{line['target']}:{line['model']}", pattern) for pattern in in_flash)
        place: Place = "flash" if listed else usual_place(program, target)
        amounts = total(works(program, target), target.name, place, MODES[line["mode"]])
        rows.append(Row(line["model"], target.name, line["mode"], float(line["latency_ms"]), amounts))
    return rows


def total(nodes: Collection[NodeWork], chip: str, place: Place, cores: int) -> dict[str, float]:
    """What the nodes' times are made of, together; as in `latency`, a node on two cores takes no longer than on one."""
    found: dict[str, float] = {}
    for node in nodes:
        options = [quantities(node, chip, place, count) for count in range(1, cores + 1)]
        for name, amount in min(options, key=lambda amounts: milliseconds(amounts, chip, PRIORS)).items():
            found[name] = found.get(name, 0.0) + amount
    return found


def kernel_rows(table: Path) -> list[Row]:
    """Single convolutions, all of their data in PSRAM and nothing in the cache."""
    rows = []
    for line in csv.DictReader(table.open(encoding="utf-8")):
        name = f"{line['function']} {line['filter_oihw']}"
        amounts = quantities(_convolution(line), line["target"], "psram", cold=True)
        amounts["node"] = 0.0  # a kernel is called, not a node
        rows.append(Row(name, line["target"], "kernel", float(line["simd_us"]) / 1000, amounts))
    return rows


def _convolution(line: Mapping[str, str]) -> NodeWork:
    _, channels, height, width = (int(n) for n in line["input_nchw"].split("x"))
    filters, depth, rows, columns = (int(n) for n in line["filter_oihw"].split("x"))
    strides = tuple(int(n) for n in line["stride"].split("x")) * (1 if "x" in line["stride"] else 2)
    pad, depthwise = int(line["pad"]), line["function"] == "depthwise"
    lengths = [(n + 2 * pad - k) // s + 1 for n, k, s in zip((height, width), (rows, columns), strides, strict=True)]
    dims = (rows, columns, filters, 1) if depthwise else (rows, columns, depth, filters)
    x, w, bias = np.zeros((1, height, width, channels), np.int8), np.zeros(dims, np.int8), np.zeros(filters, np.int32)
    group = channels if depthwise else 1
    node = Node("Conv", "kernel", ("x", "w", "bias"), ("y",), {"strides": strides, "pads": (pad,) * 4, "group": group})
    shape = (1, *lengths, filters)
    call = Call(
        node,
        (Arg(x), Arg(w), Arg(bias)),
        (Value("y", DType.INT8, shape),),
        targets.find(line["target"]),
        {"w": Tensor("w", w), "bias": Tensor("bias", bias)},
    )
    return work_of(call, [shape])


def fit(rows: Sequence[Row]) -> dict[str, float]:
    """The constants, none negative."""
    names = [name for name in PRIORS if name != PACE]
    weights = np.array([(KERNEL_WEIGHT if row.mode == "kernel" else 1.0) / row.measured for row in rows])
    parts = np.array([[row.amounts.get(name, 0.0) * PRIORS[name] for name in names] for row in rows])
    wanted = np.array([row.measured - row.amounts.get(FIXED, 0.0) for row in rows])
    paced = np.array(
        [[f"{row.target} pace" == PACE and name != memory_of(row.target) for name in names] for row in rows]
    )
    pull = sqrt(TRUST) * np.eye(len(names))
    goal = np.concatenate([weights * wanted, pull.sum(axis=1)])

    def at(pace: float) -> tuple[float, list[float]]:
        system = np.vstack([weights[:, None] * parts * np.where(paced, pace, 1.0), pull])
        factors = _non_negative(system, goal)
        left = np.square(system @ factors - goal).sum() + TRUST * (pace - PRIORS[PACE]) ** 2
        return float(left), [float(factor) for factor in factors]

    _, best, pace = min((*at(pace), pace) for pace in PACES)
    return {name: factor * PRIORS[name] for name, factor in zip(names, best, strict=True)} | {PACE: pace}


def _non_negative(system: Array, wanted: Array) -> Array:
    """Least squares; whatever would be negative is 0, one after the other."""
    kept = np.ones(system.shape[1], dtype=bool)
    while True:
        solution = np.zeros(len(kept))
        solution[kept] = np.linalg.lstsq(system[:, kept], wanted, rcond=None)[0]
        if solution.min() >= 0:
            return solution
        kept[solution.argmin()] = False


def error(row: Row, constants: Mapping[str, float]) -> float:
    """How far the prediction is off, as a share of the measured time."""
    return milliseconds(row.amounts, row.target, constants) / row.measured - 1.0


def left_out(rows: Sequence[Row], kernels: Sequence[Row], *, families: bool = False) -> list[float]:
    """Each row's error with constants fitted without its model (or family): every one of them, on both chips."""

    def group(row: Row) -> str:
        return row.family if families else row.model

    fits = {key: fit([row for row in rows if group(row) != key] + list(kernels)) for key in {group(r) for r in rows}}
    return [error(row, fits[group(row)]) for row in rows]
