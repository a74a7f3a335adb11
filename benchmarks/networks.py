"""The networks the figures are measured on: a model file, calibration samples and a held part with labels.

Files are looked for below a folder given on the command line; see `benchmarks/README.md` for what it must hold.
"""

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

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """One network with its data, inputs as the model takes them (batch first)."""

    name: str
    model: Path
    calibration: Array
    samples: Array
    labels: Array


def signdigits(root: Path) -> Case:
    """Gesture network on sign-language digits, 96×96 gray."""
    data = np.load(root / "signdigits96.npz")
    x = data["X"].astype(np.float32) / 255
    x = x.reshape(len(x), 1, 96, 96)
    return Case(
        "signdigits", root / "models/lightgesturenet_signdigits.onnx", x[:64], x[1600:], data["y"][1600:].astype(int)
    )


def resnet8(root: Path) -> Case:
    """MLPerf Tiny image classification on CIFAR-10."""
    data = np.load(root / "cifar10_2000.npz")
    x = data["X"].astype(np.float32).transpose(0, 3, 1, 2)
    return _last("resnet8", root / "models/resnet8_cifar10.onnx", x, data["y"])


def kws(root: Path) -> Case:
    """MLPerf Tiny keyword spotting (DS-CNN)."""
    data = np.load(root / "kws01.npz")
    x = (data["X"].astype(np.float32) - float(data["zero_point"])) * float(data["scale"])
    return _last("kws", root / "models/kws_dscnn.onnx", x.reshape(-1, 1, 49, 10), data["Y"])


def vww(root: Path) -> Case:
    """MLPerf Tiny visual wake words; calibrated on other pictures."""
    data = np.load(root / "vww96_from_coco128.npz")
    x = data["X"].astype(np.float32).transpose(0, 3, 1, 2) / 255
    pictures = [Image.fromarray(p).resize((96, 96), Image.Resampling.BILINEAR) for p, _ in _pictures(root, slice(-64, None))]
    calibration = np.stack([np.asarray(p, dtype=np.float32).transpose(2, 0, 1) / 255 for p in pictures])
    return Case("vww", root / "models/vww96.onnx", calibration, x, data["y"].reshape(-1).astype(int))


def mobilenetv2(root: Path) -> Case:
    """ImageNet classification, ReLU6, 224×224: the hard case for per-tensor weights."""
    return _imagenet(root, "mobilenetv2", lambda rgb: rgb / 127.5 - 1)


def efficientnet_lite0(root: Path) -> Case:
    """ImageNet classification, ReLU6, 224×224: the kind case."""
    return _imagenet(root, "efficientnet_lite0", lambda rgb: (rgb - 127) / 128)


CASES: dict[str, Callable[[Path], Case]] = {
    f.__name__: f for f in (signdigits, resnet8, kws, vww, mobilenetv2, efficientnet_lite0)
}


def _last(name: str, model: Path, x: Array, y: Array) -> Case:
    labels = y.reshape(len(x), -1)
    flat = labels.argmax(axis=1) if labels.shape[1] > 1 else labels[:, 0]
    return Case(name, model, x[-64:], x[:-64], flat[:-64].astype(int))


def _imagenet(root: Path, name: str, scale: Callable[[Array], Array]) -> Case:
    rows = [(scale(np.asarray(p, dtype=np.float32)).transpose(2, 0, 1), y) for p, y in _pictures(root, slice(None))]
    x = np.stack([row[0] for row in rows]).astype(np.float32)
    y = np.asarray([row[1] for row in rows])
    return Case(name, root / f"models/{name}.onnx", x[-64:], x[:-64], y[:-64])


def _pictures(root: Path, which: slice) -> list[tuple[Array, int]]:
    with zipfile.ZipFile(root / "imagenet500.zip") as archive:
        names = {Path(name).name: name for name in archive.namelist()}
        text = archive.read(names["labels.csv"]).decode()
        rows = list(csv.DictReader(io.StringIO(text)))[which]
        found = []
        for row in rows:
            raw = archive.read(names[Path(row["file"]).name])
            found.append((np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")), int(row["label"])))
        return found
