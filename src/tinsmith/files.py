"""Writing files so that nothing of the user's is ever half overwritten."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tinsmith.errors import TinsmithError


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write several files: each to a temporary file beside its place first, then all renamed.

    Raises:
        TinsmithError: A folder or file cannot be written; what stood there before is untouched.
    """
    pending: dict[Path, Path] = {}
    try:
        for path, data in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
            pending[path] = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(name, 0o666 & ~_umask())
        for path, temporary in pending.items():
            temporary.replace(path)
    except OSError as error:
        raise TinsmithError(f"cannot be written: {error.strerror}.", subject=str(error.filename)) from error
    finally:
        for temporary in pending.values():
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
