"""The operators: one file per family, each listing its `Operator` objects in ``OPERATORS``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from tinsmith.errors import ProgramError
from tinsmith.ops.base import Operator


@cache
def operators() -> dict[str, Operator]:
    """All operators by type, gathered from the family files of this package."""
    found: dict[str, Operator] = {}
    for module in pkgutil.iter_modules(__path__):
        family = importlib.import_module(f"{__name__}.{module.name}")
        for operator in getattr(family, "OPERATORS", ()):
            if operator.name in found:
                raise RuntimeError(f"two families define {operator.name}")
            found[operator.name] = operator
    return dict(sorted(found.items()))


def find(op_type: str, subject: str = "") -> Operator:
    """The operator of that type.

    Raises:
        ProgramError: The runtime has no such operator.
    """
    try:
        return operators()[op_type]
    except KeyError:
        raise ProgramError(f"the runtime has no operator {op_type!r}.", subject=subject) from None


__all__ = ["Operator", "find", "operators"]
