"""What other libraries' errors say, as the reason that one of ours gives."""

from __future__ import annotations

_LONGEST = 300


def sentence(error: BaseException) -> str:
    """The first line of an error's text; with the kind of error where the text alone says too little."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0].partition("  [Caused by")[0] if lines else ""  # PyTorch's graphs, spelled out
    if not text or isinstance(error, (LookupError, AttributeError)):
        text = f"{type(error).__name__} {text}".rstrip()
    return f"{text[:_LONGEST].rstrip('.: ')}."


def innermost(error: BaseException) -> str:
    """The same of the error at the bottom of a chain."""
    while error.__cause__ is not None:
        error = error.__cause__
    return sentence(error)
