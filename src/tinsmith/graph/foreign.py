"""Operators that an importer could not translate: nodes of a domain of their own, with the reason.

They stay in the model until it is known what of it is wanted: where it is cut before them (``outputs``), nobody minds.
"""

from __future__ import annotations

import json

import onnx_ir as ir

from tinsmith.errors import ModelError

_KEY = "tinsmith.refused"
_SHOWN = 8


def refused(node: ir.Node, what: str, reason: str, hint: str) -> None:
    """Notes why an operator was not translated.

    Args:
        node: What stands for it, of a domain that is not ONNX's; named as the user would name it.
        what: The operator and whose it is, without an article.
        reason: What hinders, a sentence; empty where the operator is not known at all.
        hint: The way out.
    """
    node.metadata_props[_KEY] = json.dumps([what, reason, hint])


def refuse(graph: ir.Graph) -> None:
    """Refuses all nodes that were noted, in one error.

    Raises:
        ModelError: There are some; names each with its reason, and the ways out.
    """
    found = [(node, json.loads(node.metadata_props[_KEY])) for node in graph.all_nodes() if _KEY in node.metadata_props]
    if not found:
        return
    lines = [f"{what} ({node.name!r}): {reason or 'is not known here.'}" for node, (what, reason, _) in found]
    more = f" And {len(lines) - _SHOWN} more." if len(lines) > _SHOWN else ""
    hints = dict.fromkeys(hint for _, (_, _, hint) in found if hint)
    before = ", ".join(map(repr, _before(graph)[:_SHOWN]))
    if before:
        hints[f"What is computed before: {before}."] = None
    several = len(lines) > 1
    raise ModelError(
        " ".join(lines[:_SHOWN]) + more,
        subject=f"{len(lines)} operators cannot be translated" if several else "an operator cannot be translated",
        hint=" ".join(hints),
    )


def _before(graph: ir.Graph) -> list[str]:
    """The computed values that such nodes read and that depend on none of them."""
    behind: set[ir.Value] = set()
    found: dict[str, None] = {}
    for node in graph:
        noted = _KEY in node.metadata_props
        if noted or any(value in behind for value in node.inputs):
            behind.update(node.outputs)
        if noted:
            before = (value for value in node.inputs if value is not None and value not in behind)
            found.update(dict.fromkeys(value.name for value in before if value.name and value.producer() is not None))
    return list(found)
