"""Names of operators in a user's graph, checked, as the patterns that recipes take."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinsmith.errors import RecipeError


@dataclass(frozen=True, slots=True)
class LayerNames:
    """The operators of a user's graph.

    Attributes:
        known: Their names, in order.
    """

    known: tuple[str, ...]

    def pattern(self, name: str, subject: str) -> str:
        """A regular expression for exactly the operators that a name stands for.

        Args:
            name: Of an operator, or the path of a PyTorch module (``features.1.conv.0``) whose operators the exporter
                named after it.
            subject: The option, for messages.

        Raises:
            RecipeError: There is no such operator; names the closest ones.
        """
        if name in self.known:
            return f"^{re.escape(name)}$"
        prefix = f"{_scope(name)}/"
        if any(known.startswith(prefix) for known in self.known):
            return f"^{re.escape(prefix)}"
        close = difflib.get_close_matches(name, self.known, n=3, cutoff=0.4)
        hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"Operators: {_some(self.known)}."
        raise RecipeError(f"the graph has no operator {name!r}.", subject=subject, hint=hint)

    def patterns(self, names: Iterable[str] | None, subject: str) -> tuple[str, ...]:
        """The same for several; none for None."""
        return tuple(self.pattern(name, subject) for name in names or ())


def _scope(path: str) -> str:
    """How torch.onnx names the scope of a module: numbers repeat the name they are counted within."""
    parts: list[str] = []
    for token in path.split("."):
        parts.append(f"{parts[-1]}.{token}" if token.isdigit() and parts else token)
    return "".join(f"/{part}" for part in parts)


def _some(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
