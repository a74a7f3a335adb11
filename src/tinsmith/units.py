"""Numbers with units, as people read them."""

from __future__ import annotations

from math import inf

KIB = 1024
MIB = 1024 * KIB

_SIZES = ("bytes", "KiB", "MiB", "GiB")


def size(count: int) -> str:
    """A number of bytes: ``1,020 bytes``, ``96.0 KiB``, ``3.44 MiB``; three digits that count."""
    value, unit = float(count), 0
    while abs(value) >= 1024 and unit < len(_SIZES) - 1:
        value, unit = value / 1024, unit + 1
    return f"{count:,} bytes" if unit == 0 else f"{_three(value)} {_SIZES[unit]}"


def milliseconds(value: float) -> str:
    """A time: ``0.42 ms``, ``115 ms``, ``6.16 s``."""
    return f"{_three(value / 1000)} s" if value >= 1000 else f"{_three(value)} ms"


def decibels(value: float | None) -> str:
    """A signal to noise ratio; None where there is no noise, minus infinity where there is nothing else."""
    if value is None:
        return "no noise"
    return "no signal" if value == -inf else f"{value:.1f} dB"


def share(value: float) -> str:
    """A share of one in percent: ``12 %``, ``0.8 %``."""
    return f"{100 * value:.0f} %" if value >= 0.0995 or value == 0 else f"{100 * value:.1f} %"


def percent(value: float, digits: int = 1) -> str:
    """A share of one in percent, always with so many digits behind the point: ``12.0 %``."""
    return f"{100 * value:.{digits}f} %"


def _three(value: float) -> str:
    """About three digits that count, never an exponent."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
