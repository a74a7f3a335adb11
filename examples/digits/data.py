"""scikit-learn's handwritten digits: 1,797 scans of 8x8 pixels, shipped with the package."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits


class Split(NamedTuple):
    """Images and their classes.

    Attributes:
        images: [N, 1, 8, 8] float32, ink from 0 to 1.
        labels: [N] int64, the digit.
    """

    images: NDArray[np.float32]
    labels: NDArray[Any]


def load() -> tuple[Split, Split]:
    """The training split and the held split: every fourth image is held, 449 of them, and trains nothing."""
    scans = load_digits()
    images = (scans.images / 16).astype(np.float32)[:, np.newaxis]
    held = np.arange(len(images)) % 4 == 3
    return Split(images[~held], scans.target[~held]), Split(images[held], scans.target[held])
