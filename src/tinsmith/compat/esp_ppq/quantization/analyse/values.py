"""Values of a quantized network by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tinsmith.errors import DataError
from tinsmith.ops.floatnode import Operand
from tinsmith.ops.steps import steps

if TYPE_CHECKING:
    from tinsmith.quantized import Quantized


def stored(quantized: Quantized) -> dict[str, Operand]:
    """The float values that the chip stores, inputs included."""
    made = (output for step in steps(quantized.network, quantized.formats) for output in step.outputs)
    return {o.name: o for o in (*quantized.network.inputs, *made) if o.dtype.kind == "f" and o.name}


def named_values(quantized: Quantized, names: Iterable[str]) -> list[Operand]:
    """The values of these names.

    Raises:
        DataError: The chip stores no such value.
    """
    known = stored(quantized)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3)
            hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else ""
            raise DataError("the chip stores no such value.", subject=f"output {name!r}", hint=hint)
    return [known[name] for name in names]
