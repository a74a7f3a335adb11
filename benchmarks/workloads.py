"""The networks and the pictures that the benchmarks run."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Images = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Workload:
    """A model file and what to feed it.

    Attributes:
        model: The .onnx file.
        images: [N, C, H, W] float32, scaled as the network was trained.
        real: Whether the images are pictures; noise stands in where the data are absent.
    """

    model: Path
    images: Images
    real: bool

    @property
    def name(self) -> str:
        """The model's file name without its suffix."""
        return self.model.stem


def _imagenet(data: Path, count: int) -> Images:
    """Pictures of imagenet500.zip, RGB / 127.5 - 1."""
    with zipfile.ZipFile(data / "imagenet500.zip") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("labels.csv"), "utf-8")))[-count:]
        pictures = [np.asarray(Image.open(archive.open(row["file"])).convert("RGB"), np.float32) for row in rows]
    return np.stack(pictures).transpose(0, 3, 1, 2) / np.float32(127.5) - np.float32(1)


def _cifar(data: Path, count: int) -> Images:
    """Pictures of cifar10_2000.npz, 0 to 255."""
    images: NDArray[Any] = np.load(data / "cifar10_2000.npz")["X"][-count:]
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)


@dataclass(frozen=True, slots=True)
class _Source:
    read: Callable[[Path, int], Images]
    shape: tuple[int, ...]
    low: float
    high: float


_SOURCES = {
    "mobilenetv2": _Source(_imagenet, (3, 224, 224), -1, 1),
    "resnet8_cifar10": _Source(_cifar, (3, 32, 32), 0, 255),
}


def workloads(models: Path, data: Path, count: int) -> tuple[list[Workload], list[str]]:
    """The workloads whose model is there, and a line on each that is not."""
    found, skipped = [], []
    for name, source in _SOURCES.items():
        model = models / f"{name}.onnx"
        if not model.is_file():
            skipped.append(f"{name}: skipped, {model} is absent (name its folder with --models)")
            continue
        try:
            images, real = np.ascontiguousarray(source.read(data, count)), True
        except FileNotFoundError:
            noise = np.random.default_rng(0).uniform(source.low, source.high, (count, *source.shape))
            images, real = noise.astype(np.float32), False
        found.append(Workload(model, images, real))
    return found, skipped
