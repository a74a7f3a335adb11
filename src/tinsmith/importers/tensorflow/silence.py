"""TensorFlow's chatter: what it and its converter print and log while they are used here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tinsmith.importers.silence import silence


@contextmanager
def silent() -> Iterator[None]:
    """Keeps TensorFlow quiet: what it says from Python, and what its C++ part writes to the process's stderr.

    The latter has no switch of its own that covers the first second, so the file descriptor leads nowhere meanwhile.
    """
    with _stderr_aside(), silence():
        yield


@contextmanager
def _stderr_aside() -> Iterator[None]:
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # a process without one
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
