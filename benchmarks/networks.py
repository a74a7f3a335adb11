"""The networks that figures are measured on: a model file, calibration samples, and held samples with their labels.

Files are looked for below one folder; `benchmarks/README.md` says what it must hold.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
Scale = Callable[[Array], Array]

CALIBRATION = 64
"""Calibration samples of every network."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One network with its data, arrays as the model takes them.

    Attributes:
        name: As users of the benchmarks call it.
        model: The .onnx file.
        calibration: 64 samples that are not among `samples`, (64, …) float32.
        samples: Held samples, (N, …) float32.
        labels: Their classes, (N,) integers.
    """

    name: str
    model: Path
    calibration: Array
    samples: Array
    labels: Array


class Load(Protocol):
    """Reads a case below a folder, with at most so many held samples (None: all)."""

    def __call__(self, root: Path, most: int | None = None) -> Case: ...


def signdigits(root: Path, most: int | None = None) -> Case:
    """Sign-language digits, 96×96 gray, ReLU6; calibrated on training images."""
    data = np.load(root / "signdigits96.npz")
    held = slice(1600, None if most is None else 1600 + most)
    model = root / "models/lightgesturenet_signdigits.onnx"
    calibration = _digits(data["X"][:CALIBRATION])
    return Case("signdigits", model, calibration, _digits(data["X"][held]), data["y"][held].astype(int))


def resnet8(root: Path, most: int | None = None) -> Case:
    """MLPerf Tiny image classification on CIFAR-10."""
    data = np.load(root / "cifar10_2000.npz")
    x = data["X"].astype(np.float32).transpose(0, 3, 1, 2)
    return _last_calibrate("resnet8", root / "models/resnet8_cifar10.onnx", x, data["y"], most)


def kws(root: Path, most: int | None = None) -> Case:
    """MLPerf Tiny keyword spotting (DS-CNN)."""
    data = np.load(root / "kws01.npz")
    x = (data["X"].astype(np.float32) - float(data["zero_point"])) * float(data["scale"])
    return _last_calibrate("kws", root / "models/kws_dscnn.onnx", x.reshape(-1, 1, 49, 10), data["Y"], most)


def vww(root: Path, most: int | None = None) -> Case:
    """MLPerf Tiny visual wake words; calibrated on other pictures."""
    data = np.load(root / "vww96_from_coco128.npz")
    x = data["X"][:most].astype(np.float32).transpose(0, 3, 1, 2) / 255
    rows = _listed(root)[-CALIBRATION:]
    calibration = np.stack([picture / np.float32(255) for picture in _pictures(root, rows, size=96)])
    return Case("vww", root / "models/vww96.onnx", calibration, x, data["y"].reshape(-1)[:most].astype(int))


def mobilenetv2(root: Path, most: int | None = None) -> Case:
    """ImageNet classification, ReLU6, 224×224: the hard case for per-tensor weights."""
    return _imagenet(root, "mobilenetv2", lambda rgb: rgb / np.float32(127.5) - np.float32(1), most)


def efficientnet_lite0(root: Path, most: int | None = None) -> Case:
    """ImageNet classification, ReLU6, 224×224: the kind case."""
    return _imagenet(root, "efficientnet_lite0", lambda rgb: (rgb - np.float32(127)) / np.float32(128), most)


def mnist_lstm(root: Path, most: int | None = None) -> Case:
    """Handwritten digits, an LSTM that reads their rows one by one."""
    data = np.load(root / "mnist_2000.npz")
    x, y = (data[name] for name in data.files[:2])
    return _last_calibrate("mnist_lstm", root / "models/mnist_lstm.onnx", x.astype(np.float32) / 255, y, most)


def fsdd_gru(root: Path, most: int | None = None) -> Case:
    """Spoken digits as log-mel spectrograms, one GRU."""
    return _spoken_digits(root, "fsdd_gru", most)


def fsdd_transformer(root: Path, most: int | None = None) -> Case:
    """Spoken digits as log-mel spectrograms, a transformer encoder."""
    return _spoken_digits(root, "fsdd_transformer", most)


CASES: dict[str, Load] = {
    "signdigits": signdigits,
    "resnet8": resnet8,
    "kws": kws,
    "vww": vww,
    "mobilenetv2": mobilenetv2,
    "efficientnet_lite0": efficientnet_lite0,
    "mnist_lstm": mnist_lstm,
    "fsdd_gru": fsdd_gru,
    "fsdd_transformer": fsdd_transformer,
}


TAKEN = {"signdigits": 0, "resnet8": 192, "mobilenetv2": 128}
"""Networks with several draws of calibration samples, and how many held samples are taken away for them."""


def drawn(name: str, root: Path, draw: int) -> Case:
    """The network with other calibration samples, 64 of a pool, drawn without replacement.

    The pool of `signdigits` are its training images. The other networks' splits have 64 calibration samples and no
    more: their last `TAKEN` held samples join the pool and are not evaluated on, whatever the draw.

    Args:
        name: A key of `TAKEN`.
        root: The folder of the data.
        draw: Which draw: the seed of the random numbers.
    """
    case, taken = CASES[name](root), TAKEN[name]
    kept = len(case.samples) - taken
    pool = np.concatenate([case.samples[kept:], case.calibration]) if taken else _training_digits(root)
    chosen = np.sort(np.random.default_rng(draw).choice(len(pool), CALIBRATION, replace=False))
    return replace(case, calibration=pool[chosen], samples=case.samples[:kept], labels=case.labels[:kept])


def found(
    names: Sequence[str], root: Path, most: int | None = None, models: Path | None = None
) -> Iterator[Case | str]:
    """Each case, or a line that says what is missing for it.

    Args:
        names: Keys of `CASES`.
        root: The folder of the data.
        most: The most held samples.
        models: The folder of the models; by default `models` below the data.
    """
    for name in names:
        try:
            case = CASES[name](root, most)
        except FileNotFoundError as error:
            yield f"{name}: skipped, {error.filename} is absent"
            continue
        case = case if models is None else replace(case, model=models / case.model.name)
        yield case if case.model.is_file() else f"{name}: skipped, {case.model} is absent"


def _digits(x: Array) -> Array:
    return (x.astype(np.float32) / 255).reshape(-1, 1, 96, 96)


def _training_digits(root: Path) -> Array:
    return _digits(np.load(root / "signdigits96.npz")["X"][:1400])


def _last_calibrate(name: str, model: Path, x: Array, y: Array, most: int | None) -> Case:
    labels = y.reshape(len(x), -1)
    classes = labels.argmax(axis=1) if labels.shape[1] > 1 else labels[:, 0]
    held = slice(0, len(x) - CALIBRATION if most is None else min(most, len(x) - CALIBRATION))
    return Case(name, model, np.ascontiguousarray(x[-CALIBRATION:]), x[held], classes[held].astype(int))


def _spoken_digits(root: Path, name: str, most: int | None) -> Case:
    data = np.load(root / "fsdd_logmel32.npz")
    x, held = data["X"].astype(np.float32), data["test"].astype(bool)
    calibration = x[np.flatnonzero(~held)[-CALIBRATION:]]
    return Case(name, root / f"models/{name}.onnx", calibration, x[held][:most], data["y"][held][:most].astype(int))


def _imagenet(root: Path, name: str, scale: Scale, most: int | None) -> Case:
    rows = _listed(root)
    held = rows[:-CALIBRATION][:most]
    samples = np.empty((len(held), 3, 224, 224), np.float32)
    for place, picture in zip(samples, _pictures(root, held), strict=True):
        place[:] = scale(picture)
    calibration = np.stack([scale(picture) for picture in _pictures(root, rows[-CALIBRATION:])])
    labels = np.asarray([int(row["label"]) for row in held])
    return Case(name, root / f"models/{name}.onnx", calibration, samples, labels)


def _listed(root: Path) -> list[dict[str, str]]:
    """The rows of labels.csv."""
    with zipfile.ZipFile(root / "imagenet500.zip") as archive:
        return list(csv.DictReader(io.TextIOWrapper(archive.open("labels.csv"), "utf-8")))


def _pictures(root: Path, rows: Sequence[dict[str, str]], size: int | None = None) -> Iterator[Array]:
    """The pictures of those rows, (3, height, width) float32 from 0 to 255, resized to a square where asked for."""
    with zipfile.ZipFile(root / "imagenet500.zip") as archive:
        for row in rows:
            picture = Image.open(archive.open(row["file"])).convert("RGB")
            if size is not None:
                picture = picture.resize((size, size), Image.Resampling.BILINEAR)
            yield np.asarray(picture, np.float32).transpose(2, 0, 1)
