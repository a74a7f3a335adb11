"""Pictures for the network: a folder with a labels file, or scikit-learn's digits, enlarged."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SIZE = 32


class Split(NamedTuple):
    """Pictures [N, 3, height, width] float32 from -1 to 1, and their classes [N]."""

    images: np.ndarray
    labels: np.ndarray


def prepared(picture: Image.Image, size: int) -> np.ndarray:
    """[3, size, size] from -1 to 1, as in training."""
    pixels = np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR), np.float32)
    return (pixels / 127.5 - 1).transpose(2, 0, 1)


def digits() -> Split:
    """All 1,797 digits of 32x32 pixels, in three equal colours."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    pictures = [Image.fromarray((scan * (255 / 16)).astype(np.uint8)) for scan in scans.images]
    return Split(np.stack([prepared(picture, SIZE) for picture in pictures]), scans.target)


def folder(images: Path, labels: Path, size: int) -> Split:
    """The pictures named in a CSV with columns ``file`` and ``label``, in its order."""
    with labels.open(newline="") as file:
        rows = list(csv.DictReader(file))
    pictures = [prepared(Image.open(images / row["file"]), size) for row in rows]
    return Split(np.stack(pictures), np.array([int(row["label"]) for row in rows]))


def parts(data: Split, calibration: int, test: int | None) -> tuple[np.ndarray, Split]:
    """The last pictures, which calibrate, and the first ones, which test."""
    images = data.images[len(data.images) - calibration :]
    rest = len(data.images) - calibration
    test = rest if test is None else min(test, rest)
    return images, Split(data.images[:test], data.labels[:test])
