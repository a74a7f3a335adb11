"""What other libraries say went wrong, in one sentence."""

from __future__ import annotations

import re


def first_sentence(error: BaseException) -> str:
    """The first line of an error, cut to a readable length."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".") + "."


def innermost(error: BaseException) -> BaseException:
    """The error at the beginning of a chain."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
