"""Programs on disk: read whole, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tinsmith.errors import FormatError, TinsmithError
from tinsmith.espdl.container import is_pack, pack, unpack
from tinsmith.espdl.decoder import decode
from tinsmith.espdl.encoder import encode
from tinsmith.espdl.encryption import new_key, write_key
from tinsmith.files import write_all
from tinsmith.program import Program


def read(path: str | Path, *, key: bytes | None = None) -> Program:
    """The program in an `.espdl` file, or in a pack that holds one.

    Args:
        path: The file.
        key: The 16-byte key of an encrypted file.

    Raises:
        FormatError: Unreadable, truncated, damaged, encrypted, or a pack of several models.
        MissingExtraError: The file is encrypted and `cryptography` is not installed.
    """
    source, data = str(path), load(path)
    if is_pack(data):
        models = unpack(data, source=source)
        if len(models) != 1:
            names = ", ".join(map(repr, models)) or "none"
            raise FormatError(
                f"is a pack of {len(models)} models ({names}).", subject=source, hint="Read it with `read_pack`."
            )
        data = next(iter(models.values()))
    return decode(data, key=key, source=source)


def read_pack(path: str | Path, *, keys: Mapping[str, bytes] | None = None) -> dict[str, Program]:
    """Every program of a pack by its name; a single file is a pack of one, named as the file without its suffix.

    Args:
        path: The file.
        keys: The 16-byte keys of encrypted models, by model name.

    Raises:
        FormatError: Unreadable, truncated, damaged, or encrypted.
        MissingExtraError: A model is encrypted and `cryptography` is not installed.
    """
    models = unpack(load(path), source=str(path))
    known = keys or {}
    return {
        name or Path(path).stem: decode(data, key=known.get(name), source=f"{path}[{name}]" if name else str(path))
        for name, data in models.items()
    }


def write(program: Program, path: str | Path) -> None:
    """Write a program as an `.espdl` file; folders are made as needed.

    Raises:
        ProgramError: The program is inconsistent or beyond the format.
        TinsmithError: The file cannot be written; nothing is left behind then.
    """
    write_all({Path(path): encode(program)})


def write_encrypted(program: Program, path: str | Path, key_path: str | Path) -> bytes:
    """Write a program encrypted under a fresh key, and that key to a file of its own with mode 0600.

    Args:
        program: What to write.
        path: The `.espdl` file.
        key_path: The key file; it must not exist yet. Keep it out of version control.

    Returns:
        The key, for `c_array`.

    Raises:
        ProgramError: The program is inconsistent or beyond the format.
        FormatError: The key file exists, or cannot be written.
        TinsmithError: The file cannot be written.
        MissingExtraError: `cryptography` is not installed.
    """
    key = new_key()
    data = encode(program, key=key)
    write_key(key, key_path)
    try:
        write_all({Path(path): data})
    except TinsmithError:
        Path(key_path).unlink()
        raise
    return key


def write_pack(programs: Mapping[str, Program], path: str | Path, *, version: str | None = None) -> None:
    """Write several programs as one file: PDL2, or PDL3 where a version is given.

    Args:
        programs: By the name the firmware asks for.
        path: The file; folders are made as needed.
        version: ASCII, at most 15 characters.

    Raises:
        ProgramError: No program, one is inconsistent or beyond the format, or the version does not fit.
        TinsmithError: The file cannot be written; nothing is left behind then.
    """
    blobs = {name: encode(program) for name, program in programs.items()}
    write_all({Path(path): pack(blobs, version=version)})


def load(path: str | Path) -> bytes:
    """The bytes of a file.

    Raises:
        FormatError: It cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}.", subject=str(path)) from error
