"""Tensors as a board prints them: lines of text, between whatever else it prints.

::

    @tensor /stem/Relu_output_0 int8 -5 1,112,112,32
    @data 00ff017e…
    @data 03…
    @end 5f3a9c01

Name, type, exponent and shape; the elements' bytes as hexadecimal digits, little-endian, any number to a line; their
CRC-32, which may be left out. What stands before ``@`` on a line, lines without one, and colors do not count.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import numpy as np

from tinsmith.errors import DataError
from tinsmith.program import Array

MARK = "@tensor "
"""What a log with tensors contains."""

_LINE = re.compile(r"@(tensor|data|end)(?!\S)(.*)")
_COLOR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_TYPES = {
    "float": "float32",
    "double": "float64",
    **{name: name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{name: name for name in ("float16", "float32", "float64", "bool")},
}


@dataclass(slots=True)
class _Tensor:
    subject: str
    name: str
    dtype: np.dtype[np.generic]
    exponent: int
    shape: tuple[int, ...]
    data: bytearray = field(default_factory=bytearray)

    def finished(self, checksum: str) -> tuple[str, Array, int]:
        """Name, elements and exponent.

        Raises:
            DataError: Bytes are missing or damaged.
        """
        expected = prod(self.shape) * self.dtype.itemsize
        hint = "Lines were lost: print more slowly, or write to an SD card."
        if len(self.data) != expected:
            reason = f"holds {len(self.data)} bytes, its shape {list(self.shape)} takes {expected}."
            raise DataError(reason, subject=self.subject, hint=hint)
        if checksum and _number(checksum, 16, self.subject, "checksum") != zlib.crc32(self.data):
            raise DataError("its bytes do not match its checksum.", subject=self.subject, hint=hint)
        array = np.frombuffer(bytes(self.data), self.dtype.newbyteorder("<")).astype(self.dtype)
        return self.name, array.reshape(self.shape), self.exponent


def read_log(text: str, source: str) -> dict[str, tuple[Array, int]]:
    """The tensors in what a board printed, with their exponents, in the order in which they were printed.

    Args:
        text: The captured log.
        source: What messages call it.

    Raises:
        DataError: A tensor is incomplete, damaged or there twice, or there is none.
    """
    found: dict[str, tuple[Array, int]] = {}
    for name, array, exponent in _tensors(text, source):
        if name in found:
            hint = "Give the log of one run."
            raise DataError(f"holds the tensor {name!r} twice.", subject=source, hint=hint)
        found[name] = array, exponent
    if not found:
        raise DataError("holds no tensor.", subject=source, hint=f"Tensors begin with lines of {MARK.strip()!r}.")
    return found


def _tensors(text: str, source: str) -> Iterator[tuple[str, Array, int]]:
    current: _Tensor | None = None
    for number, line in enumerate(_COLOR.sub("", text).splitlines(), 1):
        subject = f"{source}, line {number}"
        found = _LINE.search(line)
        if found is None:
            continue
        word, content = found.groups()
        if word == "tensor":
            if current is not None:
                raise DataError(f"{current.name!r} has no end.", subject=current.subject)
            current = _begun(content, subject)
        elif current is None:
            raise DataError(f"there is @{word} without @tensor before it.", subject=subject)
        elif word == "data":
            current.data += _bytes(content, subject)
        else:
            yield current.finished(content.strip())
            current = None
    if current is not None:
        raise DataError(f"{current.name!r} has no end.", subject=current.subject, hint="The log is cut off.")


def _begun(content: str, subject: str) -> _Tensor:
    parts = content.strip().rsplit(maxsplit=3)
    if len(parts) != 4 or parts[1] not in _TYPES:
        hint = "Write @tensor NAME TYPE EXPONENT SHAPE, such as: @tensor x int8 -5 1,14,14,96"
        raise DataError(f"{content.strip()!r} describes no tensor.", subject=subject, hint=hint)
    name, kind, exponent, shape = parts
    dims = tuple(_number(part, 10, subject, "shape") for part in shape.split(","))
    if min(dims) < 1:
        raise DataError(f"{shape!r} is no shape.", subject=subject)
    return _Tensor(subject, name, np.dtype(_TYPES[kind]), _number(exponent, 10, subject, "exponent"), dims)


def _number(text: str, base: int, subject: str, what: str) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise DataError(f"{text!r} is no {what}.", subject=subject) from None


def _bytes(content: str, subject: str) -> bytes:
    try:
        return binascii.unhexlify("".join(content.split()))
    except (binascii.Error, ValueError) as error:
        raise DataError(f"holds no hexadecimal digits: {error}.", subject=subject) from None
