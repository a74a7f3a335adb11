"""What an importer has to tell the user, kept in the metadata of the model it gives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

_KEY = "tinsmith.notes"


def add_note(model: ir.Model, note: str) -> None:
    """Adds a sentence to what `notes` gives."""
    model.metadata_props[_KEY] = json.dumps([*notes(model), note])


def notes(model: ir.Model) -> tuple[str, ...]:
    """What the importer of a model said about it, in sentences."""
    try:
        found = json.loads(model.metadata_props.get(_KEY, "[]"))
    except ValueError:  # the entry of somebody else
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()
