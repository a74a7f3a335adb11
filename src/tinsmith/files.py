"""Writing files so that nothing of the user's is ever half overwritten."""

from __future__ import annotations

import errno
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
    path = Path()
    try:
        for path, data in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
            pending[path] = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(name, 0o666 & ~_umask())
        for path, temporary in pending.items():
            temporary.replace(path)
    except (FileExistsError, NotADirectoryError) as error:
        raise TinsmithError(f"cannot be written: {path.parent} is no folder.", subject=str(path)) from error
    except OSError as error:
        raise TinsmithError(f"cannot be written: {error.strerror}.", subject=str(path)) from error
    finally:
        for temporary in pending.values():
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
