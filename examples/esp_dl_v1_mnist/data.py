"""Handwritten digits of 28x28 pixels as MNIST has them: scikit-learn's scans of 8x8, enlarged and framed."""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

SIZE, INK = 28, 20
"""The picture's size, and that of the digit in its middle."""
TEST = 600
"""So many of the first pictures train nothing."""


def load() -> tuple[np.ndarray, np.ndarray]:
    """Pictures [N, 28, 28, 1] float32 from 0 to 255, and the digits [N] on them."""
    scans = load_digits()
    frame = (SIZE - INK) // 2
    pictures = np.zeros((len(scans.images), SIZE, SIZE, 1), np.float32)
    for index, scan in enumerate(scans.images):
        large = Image.fromarray((scan * (255 / 16)).astype(np.uint8)).resize((INK, INK), Image.Resampling.BILINEAR)
        pictures[index, frame:-frame, frame:-frame, 0] = large
    return pictures, scans.target
