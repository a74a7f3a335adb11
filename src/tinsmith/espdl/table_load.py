"""Quantization tables read back: ours, and what other exporters' tables say about values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from tinsmith.errors import FormatError
from tinsmith.quant.format import Format, Formats

_ACTIVATION_BITS = (8, 16)


def load_table(text: str, *, axes: Mapping[str, int] | None = None, source: str = "") -> Formats:
    """The formats in a `.json` table.

    A table without our ``formats`` section is taken as esp-ppq writes it: each value's format is the one its configs
    agree on, configs in state FP32 and biases (whose exponents follow from the others) are left out.

    Args:
        text: JSON.
        axes: Channel axis by value name, for tables of other exporters, which do not record it.
        source: File name for messages.

    Raises:
        FormatError: No JSON, not a table, a scale that is no power of two, or a per-channel format without an axis.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"is no JSON: {error}.", subject=source) from None
    try:
        if "formats" in document:
            return _own(document)
        return _foreign(document, axes or {})
    except _Wrong as error:
        raise FormatError(f"{error}.", subject=source) from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FormatError(f"is no quantization table ({type(error).__name__}: {error}).", subject=source) from None


class _Wrong(Exception):
    """A defect that has a sentence of its own."""


def _own(document: Any) -> Formats:
    known = {
        key: _format(key, entry, entry["bit_width"], entry.get("axis")) for key, entry in document["values"].items()
    }
    section = document["formats"]
    return Formats(
        values={str(name): known[str(key)] for name, key in section["values"].items()},
        uses={(str(node), int(index)): known[str(key)] for node, index, key in section["uses"]},
    )


def _foreign(document: Any, axes: Mapping[str, int]) -> Formats:
    found: dict[str, Format] = {}
    for configs in document["configs"].values():
        for name, config in configs.items():
            own = config["hash"] == config["dominator"]
            if not name or not own or config["state"] == "FP32" or config["bit_width"] not in _ACTIVATION_BITS:
                continue
            entry = document["values"][str(config["hash"])]
            format_ = _format(name, entry, config["bit_width"], axes.get(name))
            if found.setdefault(name, format_) != format_:
                raise _Wrong(f"gives {name!r} two formats")
    return Formats(values=found)


def _format(name: str, entry: Any, bits: Any, axis: Any) -> Format:
    scale = entry["scale"]
    if not isinstance(bits, int) or not 2 <= bits <= 64 or not (axis is None or isinstance(axis, int)):
        raise _Wrong(f"has the bit width {bits!r} or the axis {axis!r} at {name!r}")
    if not isinstance(scale, list):
        return Format(bits, (_exponent(name, scale),))
    if axis is None:
        raise _Wrong(f"does not say along which axis the scales of {name!r} run (give `axes`)")
    return Format(bits, tuple(_exponent(name, item) for item in scale), axis)


def _exponent(name: str, scale: Any) -> int:
    if not isinstance(scale, (int, float)) or not math.isfinite(scale) or math.frexp(scale)[0] != 0.5:
        raise _Wrong(f"has the scale {scale!r} at {name!r}, which is no power of two")
    return math.frexp(scale)[1] - 1
