"""The envelope around a FlatBuffer: single files (EDL1, EDL2) and packs of several (PDL1, PDL2, PDL3).

::

    EDL1   magic, encrypted u32, length u32, payload
    EDL2   magic, encrypted u32, length u32, zero u32, payload           payload at a multiple of 16
    PDL1/2 magic, count u32, count × entry, names, padding to 16, EDL files
    PDL3   magic, version char[16], size u32, sha256[32], count u32, count × entry, names, padding to 16, EDL2 files
    entry  data offset u32, name offset u32, name length u32             offsets from the start of the pack

All numbers are little-endian. The digest of a PDL3 covers its ``size`` bytes, with the digest itself as zeros.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping

from tinsmith.errors import FormatError, ProgramError

_EDL1 = struct.Struct("<4sII")
_EDL2 = struct.Struct("<4sIII")
_PDL2 = struct.Struct("<4sI")
_PDL3 = struct.Struct("<4s16sI32sI")
_ENTRY = struct.Struct("<III")
_DIGEST = slice(24, 56)
_LARGEST = (1 << 32) - 1

SINGLE = (b"EDL1", b"EDL2")
PACKS = (b"PDL1", b"PDL2", b"PDL3")


def unwrap(data: bytes, *, key: bytes | None = None, source: str = "") -> bytes:
    """The FlatBuffer inside a single file.

    Args:
        data: The file; bytes after the payload are ignored, as the runtime does.
        key: The 16-byte key of an encrypted file.
        source: File name for messages.

    Raises:
        FormatError: No EDL file, truncated, or encrypted while no key is given.
        MissingExtraError: Encrypted, and `cryptography` is not installed.
    """
    magic = bytes(data[:4])
    if magic in PACKS:
        raise FormatError("is a pack of models.", subject=source, hint="Read it with `read_pack`.")
    header = {b"EDL1": _EDL1, b"EDL2": _EDL2}.get(magic)
    if header is None:
        raise FormatError(f"is no .espdl file: it starts with {magic!r}.", subject=source, hint=_expected())
    if len(data) < header.size:
        raise FormatError("is truncated within its header.", subject=source)
    encrypted, length = header.unpack_from(data)[1:3]
    if header.size + length > len(data):
        raise FormatError(
            f"is truncated: its header promises {length} bytes, {len(data) - header.size} are there.", subject=source
        )
    if encrypted > 1:
        raise FormatError(f"has encryption mode {encrypted}; only 0 and 1 exist.", subject=source)
    payload = bytes(data[header.size : header.size + length])
    if not encrypted:
        return payload
    if key is None:
        raise FormatError("is encrypted.", subject=source, hint="Give its 16-byte key: `key=read_key(…)`.")
    from tinsmith.espdl.encryption import crypt

    return crypt(payload, key)


def wrap(payload: bytes, *, key: bytes | None = None) -> bytes:
    """The EDL2 file around a FlatBuffer, encrypted where a key is given.

    Raises:
        ProgramError: More than 4 GiB.
        MissingExtraError: A key is given, and `cryptography` is not installed.
    """
    if len(payload) > _LARGEST:
        raise ProgramError(f"needs {len(payload)} bytes; an .espdl file holds at most {_LARGEST}.")
    if key is not None:
        from tinsmith.espdl.encryption import crypt

        payload = crypt(payload, key)
    return _EDL2.pack(b"EDL2", int(key is not None), len(payload), 0) + payload


def is_pack(data: bytes) -> bool:
    """Whether the bytes start like a pack."""
    return bytes(data[:4]) in PACKS


def unpack(data: bytes, *, source: str = "") -> dict[str, bytes]:
    """The EDL files in a pack, by model name; a single file is a pack of one, named ``""``.

    Raises:
        FormatError: No pack, truncated, damaged (PDL3 carries a digest), or two models share a name.
    """
    magic = bytes(data[:4])
    if magic in SINGLE:
        return {"": data}
    if magic not in PACKS:
        raise FormatError(f"is no pack of models: it starts with {magic!r}.", subject=source, hint=_expected())
    if magic == b"PDL3":
        data, count = _checked_pdl3(data, source)
        start = _PDL3.size
    else:
        start = _PDL2.size
        count = _PDL2.unpack_from(data)[1] if len(data) >= start else -1
    if count < 0 or start + count * _ENTRY.size > len(data):
        raise FormatError("is truncated within its list of models.", subject=source)
    models: dict[str, bytes] = {}
    unread = len(data)
    for index in range(count):
        offset, name_offset, name_length = _ENTRY.unpack_from(data, start + index * _ENTRY.size)
        if offset >= len(data) or name_offset + name_length > len(data):
            raise FormatError(f"model {index} lies outside the pack.", subject=source)
        unread -= name_length
        if unread < 0:
            raise FormatError("the models' names overlap.", subject=source)
        try:
            name = str(data[name_offset : name_offset + name_length], "utf-8")
        except UnicodeDecodeError:
            raise FormatError(f"the name of model {index} is not valid UTF-8.", subject=source) from None
        if name in models:
            raise FormatError(f"names two models {name!r}.", subject=source)
        models[name] = _member(data, offset, f"model {name!r}", source)
        unread -= len(models[name])
        if unread < 0:
            raise FormatError("the models overlap.", subject=source)
    return models


def pack(models: Mapping[str, bytes], *, version: str | None = None) -> bytes:
    """A pack of EDL2 files: PDL2, or PDL3 where a version is given.

    Args:
        models: EDL2 files by model name, as `wrap` makes them.
        version: ASCII, at most 15 characters; the runtime can report it.

    Raises:
        ProgramError: No models, the version does not fit, or the pack exceeds 4 GiB.
    """
    if not models:
        raise ProgramError("a pack needs at least one model.")
    if version is not None and (not version.isascii() or len(version) > 15 or "\0" in version):
        raise ProgramError(f"pack version {version!r} is not ASCII of at most 15 characters.")
    names = [name.encode() for name in models]
    name_offset = (_PDL2 if version is None else _PDL3).size + len(names) * _ENTRY.size
    offset = _aligned(name_offset + sum(map(len, names)))
    entries, blobs = bytearray(), []
    for name, blob in zip(names, models.values(), strict=True):
        if offset > _LARGEST:
            break
        entries += _ENTRY.pack(offset, name_offset, len(name))
        blobs.append(blob.ljust(_aligned(len(blob)), b"\0"))
        name_offset += len(name)
        offset += len(blobs[-1])
    if offset > _LARGEST:
        raise ProgramError(f"the pack needs more than {_LARGEST} bytes.", hint="Write two packs.")
    head = _PDL2.pack(b"PDL2", len(names)) if version is None else _pdl3(version, offset, len(names), bytes(32))
    front = (head + entries + b"".join(names)).ljust(_aligned(name_offset), b"\0")
    whole = front + b"".join(blobs)
    if version is None:
        return whole
    return _pdl3(version, offset, len(names), hashlib.sha256(whole).digest()) + whole[_PDL3.size :]


def _expected() -> str:
    return f"Known starts: {', '.join(magic.decode() for magic in SINGLE + PACKS)}."


def _aligned(size: int) -> int:
    return -(-size // 16) * 16


def _pdl3(version: str, size: int, count: int, digest: bytes) -> bytes:
    return _PDL3.pack(b"PDL3", version.encode(), size, digest, count)


def _checked_pdl3(data: bytes, source: str) -> tuple[bytes, int]:
    """The bytes that the digest covers and the number of models."""
    if len(data) < _PDL3.size:
        raise FormatError("is truncated within its header.", subject=source)
    _, _, size, digest, count = _PDL3.unpack_from(data)
    if not _PDL3.size <= size <= len(data):
        raise FormatError(f"is truncated: it promises {size} bytes, {len(data)} are there.", subject=source)
    whole = bytearray(data[:size])
    whole[_DIGEST] = bytes(32)
    if hashlib.sha256(whole).digest() != digest:
        raise FormatError("is damaged: its SHA-256 does not match.", subject=source, hint="Copy or pack it again.")
    return bytes(data[:size]), int(count)


def _member(data: bytes, offset: int, what: str, source: str) -> bytes:
    """The EDL file at ``offset`` of a pack, without what follows it."""
    magic = bytes(data[offset : offset + 4])
    header = _EDL1 if magic == b"EDL1" else _EDL2
    if magic not in SINGLE or offset + header.size > len(data):
        raise FormatError(f"{what} is no .espdl file.", subject=source)
    length = header.unpack_from(data, offset)[2]
    if offset + header.size + length > len(data):
        raise FormatError(f"{what} is truncated.", subject=source)
    return bytes(data[offset : offset + header.size + length])
