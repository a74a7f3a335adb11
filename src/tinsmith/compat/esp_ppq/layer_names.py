"""Names of operators in a user's graph, checked, as the patterns that recipes take."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tinsmith.errors import RecipeError, TinsmithError

if TYPE_CHECKING:
    import onnx_ir as ir


@dataclass(frozen=True, slots=True)
class LayerNames:
    """The operators of a user's graph.

    Attributes:
        known: Their names, in order.
        aliases: Other names that stand for one or several: paths of PyTorch modules.
        gone: Those of `known` of which nothing is left in the network that runs.
    """

    known: tuple[str, ...]
    aliases: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    @classmethod
    def of(cls, model: ir.Model) -> LayerNames:
        """The names that a float model's operators go by."""
        from tinsmith.graph.prepare import name_nodes
        from tinsmith.graph.provenance import remember

        user = model.clone()
        name_nodes(user.graph)
        nodes = remember(user.graph, recorded=user.producer_name == "pytorch")
        aliases = frozenset(alias for node in nodes for alias in node.aliases)
        return cls(tuple(node.name for node in nodes), aliases)

    def beside(self, model: ir.Model, input_shapes: Mapping[str, Sequence[int]]) -> LayerNames:
        """The same, knowing which of them are gone.

        Args:
            model: Whose operators they are.
            input_shapes: Of inputs that the model leaves open.
        """
        from tinsmith.graph.canonical import canonicalize
        from tinsmith.graph.provenance import names

        try:
            canonical = canonicalize(model, input_shapes=input_shapes)
        except TinsmithError:  # which quantizing tells with more around it
            return self
        left = {name for node in canonical.graph for name in (node.name, *names(node))}
        return replace(self, gone=frozenset(self.known) - left)

    def pattern(self, name: str, subject: str) -> str:
        """A regular expression for exactly the operators that a name stands for.

        Args:
            name: Of an operator, or the path of a PyTorch module (``features.1.conv.0``).
            subject: The option, for messages.

        Raises:
            RecipeError: There is no such operator; names the closest ones.
        """
        if name in self.known or name in self.aliases:
            return f"^{re.escape(name)}$"
        close = difflib.get_close_matches(name, (*self.known, *self.aliases), n=3, cutoff=0.4)
        hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"Operators: {_some(self.known)}."
        raise RecipeError(f"the graph has no operator {name!r}.", subject=subject, hint=hint)

    def patterns(self, names: Iterable[str] | None, subject: str) -> tuple[str, ...]:
        """The same for several; none for None."""
        given = [names] if isinstance(names, str) else names or ()
        return tuple(self.pattern(name, subject) for name in given)


def _some(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
