"""What PyTorch's exporters print, warn and log, kept from the user."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

_LONGEST = 300


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Nothing is printed, warned or logged; errors pass."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            yield
    finally:
        logging.disable(before)


def innermost(error: BaseException) -> str:
    """The reason at the bottom of a chain of errors, one sentence."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    if not text or isinstance(error, (LookupError, AttributeError)):
        text = f"{type(error).__name__} {text}".rstrip()
    return f"{text[:_LONGEST].rstrip('. ')}."
