"""Defects in bytes, for every fuzzer here."""

from __future__ import annotations

import random
import struct
from pathlib import Path

WORDS = (0, 1, 2, 3, 4, 8, 16, 0x7F, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)
"""Numbers that lengths, counts and offsets go wrong at."""
_CHANCES = (4, 4, 4, 4, 4, 1, 1, 4)  # inserting and deleting spoils all offsets: seldom of use


def damage(damaged: bytearray, dice: random.Random, first: int = 0) -> None:
    """One defect, in place, at ``first`` or behind it."""
    if len(damaged) <= first:
        return
    position = dice.randrange(first, max(first + 1, len(damaged) - 8))
    match dice.choices(range(8), _CHANCES)[0]:
        case 0:
            damaged[position : position + 1] = bytes([dice.randrange(256)])
        case 1:
            damaged[position : position + 4] = struct.pack("<I", dice.choice((*WORDS, len(damaged))))
        case 2:  # an offset that points elsewhere in the file
            aligned = position & ~3
            damaged[aligned : aligned + 4] = struct.pack("<I", dice.randrange(len(damaged)))
        case 3:
            damaged[position : position + 2] = struct.pack("<H", dice.choice(WORDS) & 0xFFFF)
        case 4:  # the same bytes twice
            source, length = dice.randrange(len(damaged)), dice.randint(1, 64)
            damaged[position : position + length] = damaged[source : source + length]
        case 5:
            del damaged[position : position + dice.choice((1, 4, 16, 1000))]
        case 6:
            damaged[position:position] = bytes(dice.randrange(256) for _ in range(dice.randint(1, 16)))
        case _:
            damaged[position : position + 1] = bytes([(damaged[position] ^ (1 << dice.randrange(8))) & 0xFF])


def kept(data: bytes, number: int, suffix: str) -> Path:
    """Saves what a finding was made with, in the working directory."""
    place = Path(f"fuzz_finding_{number}{suffix}")
    place.write_bytes(data)
    return place
