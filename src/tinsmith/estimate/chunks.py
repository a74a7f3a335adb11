"""Memory as ESP-DL's greedy memory manager cuts it: a row of chunks, the free ones tried from the smallest up."""

from __future__ import annotations

from dataclasses import dataclass, field

ALIGNMENT = 16
"""Bytes to which chunks are rounded up."""


def aligned(size: int) -> int:
    """Bytes that a chunk for ``size`` bytes has."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(slots=True, eq=False)
class Chunk:
    """A piece of memory, taken or free.

    Attributes:
        offset: Bytes before it.
        size: Its bytes.
        free: Whether it may be taken.
    """

    offset: int
    size: int
    free: bool = False

    @property
    def end(self) -> int:
        """Bytes up to its end."""
        return self.offset + self.size


@dataclass(slots=True)
class Memory:
    """One kind of memory.

    Attributes:
        row: All chunks, neighbours beside each other.
        free: Those that may be taken, the smallest first; among equals the one freed first.
        grows: Whether chunks may be appended.
        peak: Bytes up to the end of the last chunk that was ever taken.
    """

    row: list[Chunk] = field(default_factory=list)
    free: list[Chunk] = field(default_factory=list)
    grows: bool = True
    peak: int = 0

    @classmethod
    def of(cls, size: int) -> Memory:
        """Memory that has a fixed size."""
        whole = Chunk(0, size, free=True)
        return cls([whole], [whole], grows=False)

    def take(self, size: int) -> Chunk | None:
        """A chunk of ``size`` bytes, rounded up; None where the memory cannot grow and no free chunk is that large."""
        wanted = aligned(size)
        chunk = next((chunk for chunk in self.free if chunk.size >= size), None)
        if chunk is not None:
            self._cut(chunk, wanted)
        elif not self.grows:
            return None
        elif self.row and self.row[-1].free:
            chunk = self.row[-1]
            self.free.remove(chunk)
            chunk.size = wanted
        else:
            chunk = Chunk(self.row[-1].end if self.row else 0, wanted)
            self.row.append(chunk)
        chunk.free = False
        self.peak = max(self.peak, chunk.end)
        return chunk

    def _cut(self, chunk: Chunk, wanted: int) -> None:
        self.free.remove(chunk)
        if chunk.size > wanted:
            rest = Chunk(chunk.offset + wanted, chunk.size - wanted, free=True)
            chunk.size = wanted
            self.row.insert(self.row.index(chunk) + 1, rest)
            self._offer(rest)

    def give(self, chunk: Chunk) -> None:
        """Take a chunk back, and join it with the free ones beside it: first the next, then the previous."""
        chunk.free = True
        place = self.row.index(chunk)
        if place + 1 < len(self.row) and self.row[place + 1].free:
            following = self.row.pop(place + 1)
            self.free.remove(following)
            chunk.size += following.size
        if place > 0 and self.row[place - 1].free:
            previous = self.row.pop(place - 1)
            self.free.remove(previous)
            chunk.offset = previous.offset
            chunk.size += previous.size
        self._offer(chunk)

    def _offer(self, chunk: Chunk) -> None:
        self.free.append(chunk)
        self.free.sort(key=lambda chunk: chunk.size)
