"""Reading FlatBuffers that nobody vouches for.

Every offset, length and field position is checked against the buffer before it is followed, so that a truncated or
hostile file ends in `FormatError`. FlatBuffers may point at the same bytes many times over: a *budget* proportional to
the size of the buffer bounds the work and the memory that such sharing can ask for.

Source of the layout: https://flatbuffers.dev/internals/ (all numbers little-endian).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from tinsmith.errors import FormatError
from tinsmith.espdl.fields import Fields
from tinsmith.program import Array

_U8 = struct.Struct("<B")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")
_I64 = struct.Struct("<q")
_F32 = struct.Struct("<f")

_TABLE_COST = 8  # bytes charged for a table beyond its own
_SHARING = 3  # how many times its size a buffer may unfold to
_SLACK = 1 << 16


class Buffer:
    """The bytes of one FlatBuffer, and what may still be read from them.

    Args:
        data: The FlatBuffer, from its root offset on.
        source: File or model the bytes come from, for messages.
    """

    __slots__ = ("_budget", "data", "size", "source")

    def __init__(self, data: bytes, source: str = "") -> None:
        self.data = data
        self.size = len(data)
        self.source = source
        self._budget = _SHARING * self.size + _SLACK

    def broken(self, where: str, why: str) -> FormatError:
        """The error for a defect at ``where``."""
        return FormatError(
            f"{where} {why}.",
            subject=self.source,
            hint="The file is truncated or damaged, or is no .espdl: copy or export it again.",
        )

    def number(self, packer: struct.Struct, position: int, where: str) -> int:
        """One little-endian integer anywhere in the buffer."""
        if not 0 <= position <= self.size - packer.size:
            raise self.broken(where, "lies outside the file")
        return int(packer.unpack_from(self.data, position)[0])

    def charge(self, amount: int, where: str) -> None:
        """Count ``amount`` bytes as read.

        Raises:
            FormatError: The same bytes have been read over and over.
        """
        self._budget -= amount
        if self._budget < 0:
            raise self.broken(where, "is shared so often that the file unfolds to far more than its size")

    def root(self, fields: Fields, where: str) -> Table:
        """The root table."""
        return Table(self, self.number(_U32, 0, where), fields, where)


class Table:
    """One table: its fields are asked for by name.

    Args:
        buffer: Where it lies.
        position: Offset of the table in the buffer.
        fields: Names and ids of its fields.
        where: Path for messages, for example ``model.graph.node[3]``.

    Raises:
        FormatError: The table or its list of field positions does not lie inside the buffer.
    """

    __slots__ = ("_fields", "_positions", "_size", "buffer", "position", "where")

    def __init__(self, buffer: Buffer, position: int, fields: Fields, where: str) -> None:
        vtable = position - buffer.number(_I32, position, where)
        length = buffer.number(_U16, vtable, where)
        size = buffer.number(_U16, vtable + 2, where)
        if length < 4 or length % 2 or vtable + length > buffer.size:
            raise buffer.broken(where, "has a broken list of fields")
        if size < 4 or position + size > buffer.size:
            raise buffer.broken(where, "does not fit into the file")
        buffer.charge(size + _TABLE_COST, where)
        known = min(length // 2 - 2, len(fields))
        self.buffer = buffer
        self.position = position
        self.where = where
        self._fields = fields
        self._size = size
        self._positions = struct.unpack_from(f"<{known}H", buffer.data, vtable + 4)

    def broken(self, why: str) -> FormatError:
        """The error for a defect of this table."""
        return self.buffer.broken(self.where, why)

    def integer(self, name: str) -> int:
        """An int32 field; 0 where absent."""
        return int(self._scalar(name, _I32) or 0)

    def byte(self, name: str) -> int:
        """A one-byte field (a union's type, a small enum); 0 where absent."""
        return int(self._scalar(name, _U8) or 0)

    def long(self, name: str) -> int | None:
        """An int64 field, or a struct that holds one int64."""
        found = self._scalar(name, _I64)
        return None if found is None else int(found)

    def float32(self, name: str) -> float | None:
        """A struct that holds one float."""
        return self._scalar(name, _F32)

    def table(self, name: str, fields: Fields) -> Table | None:
        """A sub-table."""
        position = self._target(name)
        return None if position is None else Table(self.buffer, position, fields, f"{self.where}.{name}")

    def tables(self, name: str, fields: Fields) -> Iterator[Table]:
        """A vector of tables, one after the other."""
        for position, where in self._targets(name):
            yield Table(self.buffer, position, fields, where)

    def text(self, name: str) -> str:
        """A string, or a byte vector holding UTF-8; empty where absent."""
        position = self._target(name)
        return "" if position is None else self._text(position, f"{self.where}.{name}")

    def texts(self, name: str) -> tuple[str, ...]:
        """A vector of strings."""
        return tuple(self._text(position, where) for position, where in self._targets(name))

    def vector(self, name: str, dtype: str, item: int = 0) -> Array | None:
        """A vector of numbers as a read-only view.

        Args:
            name: Field name.
            dtype: numpy type of the elements with its byte order, for example ``<i8``.
            item: Bytes per item where the items are structs; the view then counts elements, not items.
        """
        position = self._target(name)
        if position is None:
            return None
        size = np.dtype(dtype).itemsize
        start, count = self._span(position, item or size, f"{self.where}.{name}")
        elements = count * (item or size) // size
        return np.frombuffer(self.buffer.data, dtype, elements, start) if elements else np.empty(0, dtype)

    def _scalar(self, name: str, packer: struct.Struct) -> int | float | None:
        """A field stored in the table itself; None where the table leaves it out."""
        index = self._fields[name]
        offset = self._positions[index] if index < len(self._positions) else 0
        if not offset:
            return None
        if offset < 4 or offset + packer.size > self._size:
            raise self.buffer.broken(f"{self.where}.{name}", "lies outside its table")
        found: int | float = packer.unpack_from(self.buffer.data, self.position + offset)[0]
        return found

    def _target(self, name: str) -> int | None:
        """Where the field's offset points; checked when something is read there."""
        offset = self._scalar(name, _U32)
        return None if offset is None else self.position + self._positions[self._fields[name]] + int(offset)

    def _targets(self, name: str) -> Iterator[tuple[int, str]]:
        """Where the offsets in a vector point, each with its path."""
        position = self._target(name)
        if position is None:
            return
        where = f"{self.where}.{name}"
        start, count = self._span(position, 4, where)
        for index in range(count):
            slot = start + 4 * index
            yield slot + int(_U32.unpack_from(self.buffer.data, slot)[0]), f"{where}[{index}]"

    def _span(self, position: int, item: int, where: str) -> tuple[int, int]:
        """Start and count of the vector at ``position``, whose items have ``item`` bytes; checked and charged."""
        count = self.buffer.number(_U32, position, where)
        if position + 4 + count * item > self.buffer.size:
            raise self.buffer.broken(where, f"claims {count} elements, more than the file holds")
        self.buffer.charge(4 + count * item, where)
        return position + 4, count

    def _text(self, position: int, where: str) -> str:
        start, count = self._span(position, 1, where)
        try:
            return str(self.buffer.data[start : start + count], "utf-8")
        except UnicodeDecodeError:
            raise self.buffer.broken(where, "is not valid UTF-8") from None
