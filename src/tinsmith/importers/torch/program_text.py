"""What the text of an exported program may call, before PyTorch resolves its names and evaluates its expressions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tinsmith.errors import ModelError

_OPERATOR = re.compile(
    r"torch\.ops\.(?!_)\w+\.\w+(\.\w+)?|torch\._?sym_\w+|math\.\w+|_operator\.(?!call|methodcaller|attrgetter|itemgetter)\w+"
)
_EXPRESSION = re.compile(r"([\w\s+\-*/%(),<>=&|~]|\.(?=\d))*")
_FUNCTION = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
_FUNCTIONS = ("floor", "ceiling", "sqrt", "log", "abs")


def refuse_foreign_code(text: bytes, subject: str) -> None:
    """Refuses a program that calls anything but operators.

    Args:
        text: JSON, as `torch.export.save` writes it (torch/_export/serde/schema.py).
        subject: The file.

    Raises:
        ModelError: It is no JSON; a node calls another function; a size is not an expression of sizes.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError("the exported program in it is damaged.", subject=subject) from error
    for key, value in _texts(document):
        if key == "target" and not _OPERATOR.fullmatch(value):
            raise ModelError(f"a node calls {value!r}, which is not an operator.", subject=subject)
        if key == "expr_str" and not _is_expression(value):
            raise ModelError(f"{value!r} is not an expression of sizes.", subject=subject)


def _is_expression(text: str) -> bool:
    called = _FUNCTION.findall(text)
    known = all(name[0].isupper() or name in _FUNCTIONS for name in called)
    return bool(_EXPRESSION.fullmatch(text)) and "__" not in text and known


def _texts(document: Any) -> Iterator[tuple[str, str]]:
    """All texts with the key that they are under."""
    stack: list[tuple[str, Any]] = [("", document)]
    while stack:
        key, value = stack.pop()
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, dict):
            stack += [(str(name), inner) for name, inner in value.items()]
        elif isinstance(value, list):
            stack += [(key, inner) for inner in value]
