"""Prints the peak memory, in KiB, of quantizing MODEL with COUNT images that arrive one by one from IMAGES.npy."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

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


def peak() -> int:
    """Peak memory of this program in KiB.

    Linux counts what the parent process held before this program was started into `ru_maxrss`, but not into VmHWM.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    model, images, count = sys.argv[1:]
    tinsmith.quantize(model, Stream(np.load(images), int(count)), target="esp32p4")
    print(peak())


if __name__ == "__main__":
    main()
