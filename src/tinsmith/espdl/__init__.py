"""The `.espdl` file: `Program` to bytes and back, packs, encryption, and the texts beside it.

Everything public is imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinsmith.espdl.decoder import decode
    from tinsmith.espdl.describe import diff, inspect
    from tinsmith.espdl.encoder import encode
    from tinsmith.espdl.encryption import c_array, read_key
    from tinsmith.espdl.files import read, read_pack, write, write_encrypted, write_pack
    from tinsmith.espdl.info_text import info
    from tinsmith.espdl.table_json import TableNode, table
    from tinsmith.espdl.table_load import load_table

# No module may have the name of a function here: importing it would hide the function.
_HOMES = {
    "TableNode": "table_json",
    "c_array": "encryption",
    "decode": "decoder",
    "diff": "describe",
    "encode": "encoder",
    "info": "info_text",
    "inspect": "describe",
    "load_table": "table_load",
    "read": "files",
    "read_key": "encryption",
    "read_pack": "files",
    "table": "table_json",
    "write": "files",
    "write_encrypted": "files",
    "write_pack": "files",
}

__all__ = [
    "TableNode",
    "c_array",
    "decode",
    "diff",
    "encode",
    "info",
    "inspect",
    "load_table",
    "read",
    "read_key",
    "read_pack",
    "table",
    "write",
    "write_encrypted",
    "write_pack",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
