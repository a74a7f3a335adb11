"""AES-128-CTR over the payload of a file, and the keys for it.

The runtime's loader fixes the initial counter block to the bytes 16, 17, …, 31. Two models under one key would
therefore share their key stream, and their difference would lie open: every file gets a key of its own, from `new_key`.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tinsmith.errors import FormatError, MissingExtraError

_COUNTER = bytes(range(16, 32))
KEY_BYTES = 16


def new_key() -> bytes:
    """A fresh 16-byte key from the system's generator. Use it for one model only."""
    return secrets.token_bytes(KEY_BYTES)


def crypt(payload: bytes, key: bytes) -> bytes:
    """Encrypt or decrypt (the same operation) a payload.

    Args:
        payload: Any bytes.
        key: 16 bytes.

    Raises:
        FormatError: The key does not have 16 bytes.
        MissingExtraError: `cryptography` is not installed.
    """
    if len(key) != KEY_BYTES:
        raise FormatError(f"has {len(key)} bytes, AES-128 takes {KEY_BYTES}.", subject="key")
    try:
        from cryptography.hazmat.primitives.ciphers import (  # type: ignore[import-not-found,unused-ignore]
            Cipher,
            algorithms,
            modes,
        )
    except ImportError:
        raise MissingExtraError(
            "encrypted models need the package `cryptography`.", hint="Install it: pip install 'tinsmith[crypto]'."
        ) from None
    cipher = Cipher(algorithms.AES(key), modes.CTR(_COUNTER)).encryptor()
    return bytes(cipher.update(payload) + cipher.finalize())


def write_key(key: bytes, path: str | Path) -> None:
    """Write a key as 32 hexadecimal digits to a new file that only its owner may read; folders are made as needed.

    Raises:
        FormatError: The file exists already (it may be the only key to another model), or cannot be written.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FormatError(f"cannot be written: {error.strerror}.", subject=str(path)) from error
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise FormatError("exists already.", subject=str(path), hint="Choose another name, or remove it.") from None
    except OSError as error:
        raise FormatError(f"cannot be written: {error.strerror}.", subject=str(path)) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")


def read_key(path: str | Path) -> bytes:
    """The key in a file that `write_key` wrote.

    Raises:
        FormatError: Unreadable, or not 32 hexadecimal digits.
    """
    try:
        key = bytes.fromhex(Path(path).read_text(encoding="ascii"))
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}.", subject=str(path)) from error
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise FormatError(f"is no key file: it must hold {2 * KEY_BYTES} hexadecimal digits.", subject=str(path))
    return key


def c_array(key: bytes, name: str = "model_key") -> str:
    """The key as the C array that the firmware hands to the runtime's loader."""
    return f"static const uint8_t {name}[{len(key)}] = {{{', '.join(f'0x{byte:02x}' for byte in key)}}};\n"
