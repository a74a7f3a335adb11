"""Names of `typing` that star imports bring to scripts which do not import them."""

from collections.abc import Callable, Iterable
from typing import Any, Dict, List, Set, Text, Union  # noqa: UP035

__all__ = ["Any", "Callable", "Dict", "Iterable", "List", "Set", "Text", "Union"]
