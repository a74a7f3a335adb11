"""Prints the peak memory, in KiB, of quantizing MODEL with COUNT images that arrive one by one from IMAGES.npy."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

import tinsmith


class Stream:
    """Images one after the other, again and again, none kept."""

    def __init__(self, images: NDArray[np.float32], count: int) -> None:
        self.images = images
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for index in range(self.count):
            at = index % len(self.images)
            yield self.images[at : at + 1].copy()


def main() -> None:
    model, images, count = sys.argv[1:]
    tinsmith.quantize(model, Stream(np.load(images), int(count)), target="esp32p4")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main()
