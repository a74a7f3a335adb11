"""How the page writes names, and numbers for which `tinsmith.units` is not fine enough."""

from __future__ import annotations

import re
from math import floor, isfinite, log10

from markupsafe import Markup

from tinsmith import units

NOTHING = "–"
"""Stands where there is no number."""

_CONTROLS = {code: "�" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"}

_SLASH = re.compile(r"(?<=/)(?=[^/])")
_POINT = re.compile(r"(?<=[._:])(?=[^._:])|(?<=[a-z])(?=[A-Z])")


def clean(text: str) -> str:
    """Text that may stand in an HTML file: control characters and lone surrogates are replaced."""
    return text.translate(_CONTROLS).encode("utf-8", "replace").decode("utf-8")


def breakable(text: str) -> Markup:
    """A name that may be broken: behind slashes; where there are none, behind points and before capital letters."""
    separator = _SLASH if "/" in text else _POINT
    return Markup("<wbr>").join(part for part in separator.split(text) if part)


def sentence(text: str) -> str:
    """A text that begins as sentences do."""
    return text[:1].upper() + text[1:]


def _digits(value: float, significant: int = 3) -> str:
    """A number with so many significant digits, thousands apart, a true minus sign, no exponent."""
    if not isfinite(value):
        return "not a number" if value != value else "∞" if value > 0 else "−∞"
    places = significant - 1 - floor(log10(abs(value))) if value else 0
    return f"{value:,.{max(0, places)}f}".replace("-", "−")


def milliseconds(value: float | None) -> str:
    """Times, as ``0.42 ms`` or ``318 ms``; seconds from one on."""
    if value is None:
        return NOTHING
    return "< 0.01 ms" if 0 < value < 0.01 else units.milliseconds(value)


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


def key(value: float) -> str:
    """A number as the script reads it to sort by; empty for what is none."""
    if isfinite(value):
        return str(value)
    return "" if value != value else "Infinity" if value > 0 else "-Infinity"


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
