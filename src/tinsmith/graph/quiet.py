"""What the ONNX libraries log is for us, not for the user."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARIES = ("onnxscript", "onnx_ir")


@contextmanager
def captured() -> Iterator[list[str]]:
    """Collects what the ONNX libraries log, reasons of failures included, instead of letting it reach the user."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            messages.append(record.getMessage() + (f": {error}" if error else ""))

    collector = Collector(logging.WARNING)
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    before = [(logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.addHandler(collector)
        logger.propagate = False
        logger.setLevel(logging.WARNING)
    try:
        yield messages
    finally:
        for logger, (propagate, level) in zip(loggers, before, strict=True):
            logger.removeHandler(collector)
            logger.propagate = propagate
            logger.setLevel(level)
