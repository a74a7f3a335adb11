"""How the page writes numbers and names. Sizes are in units of 1024, as memories of chips are."""

from __future__ import annotations

import re
from math import floor, isfinite, log10

from markupsafe import Markup

NOTHING = "–"
"""Stands where there is no number."""

_CONTROLS = {code: "�" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"}

_SLASH = re.compile(r"(?<=/)(?=[^/])")
_POINT = re.compile(r"(?<=[._:])(?=[^._:])")


def clean(text: str) -> str:
    """Text that may stand in an HTML file: control characters and lone surrogates are replaced."""
    return text.translate(_CONTROLS).encode("utf-8", "replace").decode("utf-8")


def breakable(text: str) -> Markup:
    """A name that may be broken behind its separators: slashes, and where there are none, points and the like."""
    separator = _SLASH if "/" in text else _POINT
    return Markup("<wbr>").join(part for part in separator.split(text) if part)


def _digits(value: float, significant: int = 3) -> str:
    """A number with so many significant digits, thousands apart, a true minus sign, no exponent."""
    if not isfinite(value):
        return "not a number" if value != value else "∞" if value > 0 else "−∞"
    places = significant - 1 - floor(log10(abs(value))) if value else 0
    return f"{value:,.{max(0, places)}f}".replace("-", "−")


def size(count: float) -> str:
    """Bytes: ``512 B``, ``4.25 KiB``, ``1.72 MiB``."""
    if abs(count) < 1024:
        return f"{count:,.0f} B"
    return f"{_digits(count / 1024)} KiB" if abs(count) < 1024**2 else f"{_digits(count / 1024**2)} MiB"


def milliseconds(value: float | None) -> str:
    """Times, as ``0.042 ms`` or ``318 ms``; seconds from ten on."""
    if value is None:
        return NOTHING
    if 0 < value < 0.001:
        return "< 0.001 ms"
    return f"{_digits(value)} ms" if abs(value) < 10_000 else f"{_digits(value / 1000)} s"


def count(value: float) -> str:
    """How many, in thousands, millions and billions: ``832``, ``10.8 M``."""
    for least, unit, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return f"{_digits(value / unit)} {letter}"
    return f"{value:,.0f}"


def percent(share: float | None) -> str:
    """A share between 0 and 1: ``12.3 %``, ``0.042 %``, ``< 0.001 %``."""
    if share is None:
        return NOTHING
    if 0 < share < 1e-5:
        return "< 0.001 %"
    return f"{_digits(share * 100, 3 if share >= 0.01 else 2)} %"


def decibels(value: float | None) -> str:
    """Signal to noise; None is a value without any noise."""
    return "exact" if value is None else f"{value:.1f} dB".replace("-", "−") if isfinite(value) else _digits(value)


def real(value: float) -> str:
    """A real number of a tensor, with four significant digits."""
    return f"{value:.4g}".replace("-", "−") if isfinite(value) else _digits(value)


def cosine(value: float) -> str:
    """A cosine, close to one as a rule."""
    return f"{value:.5f}".replace("-", "−") if isfinite(value) else _digits(value)


def bits(value: float) -> str:
    """Bits, of which there are fractions."""
    return (f"{value:.1f}".replace("-", "−") if isfinite(value) else _digits(value)) + " bits"


def exponent(value: int) -> str:
    """A whole number with a true minus sign."""
    return str(value).replace("-", "−")
