"""Gray pictures of 96x96: scikit-learn's handwritten digits, enlarged, or those of a file."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SIZE = 96


class Split(NamedTuple):
    """Pictures [N, 1, 96, 96] float32 from 0 to 1, and their classes [N]."""

    images: np.ndarray
    labels: np.ndarray


def digits() -> tuple[np.ndarray, np.ndarray, int]:
    """Enlarged digits, their classes, and the row from which on they are the test set."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    pictures = [Image.fromarray((scan * (255 / 16)).astype(np.uint8)) for scan in scans.images]
    large = [np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR)) for picture in pictures]
    return np.stack(large), scans.target, 1400


def load(file: Path | None, first_test: int | None) -> tuple[Split, Split]:
    """The training set and the test set; ``file`` is an .npz with ``X`` [N, 96, 96] of bytes and ``y`` [N]."""
    pictures, labels, first = digits() if file is None else (*(np.load(file)[name] for name in "Xy"), None)
    first = first_test or first or len(labels) * 4 // 5
    images = (np.asarray(pictures, np.float32) / 255).reshape(-1, 1, SIZE, SIZE)
    return Split(images[:first], labels[:first]), Split(images[first:], labels[first:])
