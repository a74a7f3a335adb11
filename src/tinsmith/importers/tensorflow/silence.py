"""TensorFlow's chatter: what it and its converter print and log while they are used here."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LOGGERS = ("tensorflow", "tf2onnx", "absl")


@contextmanager
def silent() -> Iterator[None]:
    """Keeps TensorFlow quiet: its loggers, its warnings, and what its C++ part writes to the process's stderr.

    The latter has no switch of its own that covers the first second, so the file descriptor leads nowhere meanwhile.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings(action="ignore"), _stderr_aside():
            yield
    finally:
        logging.disable(level)
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


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
