"""Common boards, and how much memory an application finds on them.

Flash and PSRAM are what the makers' guides say. Internal RAM is an assumption, on the safe side: half of the SRAM in
the chip's datasheet (`INTERNAL`). The other half is for ESP-IDF with Wi-Fi or Bluetooth, instructions that run from
RAM, caches, stacks, and what the application itself needs; and a model wants its memory in one piece. Two exceptions:
of the ESP32's 520 KB only 320 are for data, in pieces; of the ESP32-P4's 768 KB, 256 are taken to be cache (128 by
default, more is usual) before the rest is halved. Give your own number where you know it:
``heap_caps_get_largest_free_block(MALLOC_CAP_INTERNAL)`` on the board tells it.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from typing import Literal

from tinsmith.errors import RecipeError
from tinsmith.units import KIB, MIB

_MODULE = re.compile(r"N(\d{1,3})(?:R(\d{1,3}))?V?", re.IGNORECASE)

Psram = Literal["", "quad", "octal", "hex"]

INTERNAL = {
    "esp32": 96 * KIB,
    "esp32s2": 160 * KIB,
    "esp32s3": 256 * KIB,
    "esp32c2": 136 * KIB,
    "esp32c3": 200 * KIB,
    "esp32c5": 192 * KIB,
    "esp32c6": 256 * KIB,
    "esp32p4": 256 * KIB,
}
"""Bytes of internal RAM that a model may take, by chip: an assumption, see above."""


@dataclass(frozen=True, slots=True)
class Board:
    """What a board offers.

    Attributes:
        name: As its maker writes it.
        chip: The target (`tinsmith.targets.find`).
        flash: Bytes.
        psram: Bytes that an application can address; 0 where there is none.
        kind: How the PSRAM is connected: 4, 8 or 16 lines; empty where there is none.
        internal: Bytes of internal RAM that a model may take.
    """

    name: str
    chip: str
    flash: int
    psram: int = 0
    kind: Psram = ""
    internal: int = 0


def _board(name: str, chip: str, flash: int, psram: int = 0, kind: Psram = "") -> Board:
    """A board, with flash and PSRAM in MiB."""
    return Board(name, chip, flash * MIB, psram * MIB, kind, INTERNAL[chip])


_ALL = (
    _board("ESP32-S3-DevKitC-1-N8", "esp32s3", 8),
    _board("ESP32-S3-DevKitC-1-N8R2", "esp32s3", 8, 2, "quad"),
    _board("ESP32-S3-DevKitC-1-N8R8", "esp32s3", 8, 8, "octal"),
    _board("ESP32-S3-DevKitC-1-N16R8", "esp32s3", 16, 8, "octal"),
    _board("ESP32-S3-DevKitC-1-N32R8V", "esp32s3", 32, 8, "octal"),
    _board("ESP32-S3-DevKitC-1-N32R16V", "esp32s3", 32, 16, "octal"),
    _board("ESP32-S3-EYE", "esp32s3", 8, 8, "octal"),
    _board("ESP32-S3-BOX", "esp32s3", 16, 8, "octal"),
    _board("ESP32-S3-BOX-3", "esp32s3", 16, 16, "octal"),
    _board("ESP32-S3-Korvo-2", "esp32s3", 16, 8, "octal"),
    _board("XIAO-ESP32S3-Sense", "esp32s3", 8, 8, "octal"),
    _board("ESP32-P4-Function-EV-Board", "esp32p4", 16, 32, "hex"),
    _board("ESP32-P4-EYE", "esp32p4", 16, 32, "hex"),
    # 8 MB of PSRAM, of which the chip can map 4.
    _board("ESP32-CAM", "esp32", 4, 4, "quad"),
    _board("ESP32-S2-DevKitC-1-N8R2", "esp32s2", 8, 2, "quad"),
    _board("ESP32-C3-DevKitM-1", "esp32c3", 4),
    _board("ESP32-C3-DevKitC-02", "esp32c3", 4),
    _board("ESP32-C6-DevKitC-1", "esp32c6", 8),
    _board("ESP32-C6-DevKitM-1", "esp32c6", 4),
)

BOARDS = {board.name: board for board in _ALL}
"""All boards by name."""


def find_board(name: str) -> Board:
    """The board of that name; case, spaces and dashes do not matter.

    Raises:
        RecipeError: No board is known by that name; the message lists the closest ones.
    """
    known = {_plain(board): board for board in BOARDS}
    found = known.get(_plain(name))
    if found is not None:
        return BOARDS[found]
    variants = [board for plain, board in known.items() if plain.startswith(_plain(name)) and _plain(name)]
    close = variants or [known[plain] for plain in difflib.get_close_matches(_plain(name), known, n=3)]
    hint = f"Did you mean {' or '.join(close)}?" if close else f"Known boards: {', '.join(BOARDS)}."
    raise RecipeError(
        f"unknown board {name!r}.", subject="board", hint=f"{hint} Of any other one, give the flash and PSRAM in bytes."
    )


def boards_with(chip: str) -> tuple[Board, ...]:
    """The known boards that have a chip, named as targets are."""
    return tuple(board for board in BOARDS.values() if board.chip == chip)


def own_board(chip: str, flash: int, psram: int = 0, internal: int | None = None) -> Board:
    """A board that is not in the table, or one with the memory your application leaves.

    Args:
        chip: The target.
        flash: Bytes.
        psram: Bytes; 0 where there is none.
        internal: Bytes of internal RAM that a model may take; by default what is assumed for the chip.

    Raises:
        RecipeError: A size is negative, or nothing is assumed for the chip and ``internal`` is missing.
    """
    if internal is None:
        if chip not in INTERNAL:
            raise RecipeError(
                f"how much internal RAM a model may take on {chip} is not known.",
                subject="board",
                hint="Give it in bytes.",
            )
        internal = INTERNAL[chip]
    for what, size in (("flash", flash), ("PSRAM", psram), ("internal RAM", internal)):
        if size < 0:
            raise RecipeError(f"{size} bytes of {what} are no size.", subject="board", hint="Give 0 or more bytes.")
    return Board(f"a board with {chip}", chip, flash, psram, "", internal)


def board_with(board: str | Board, chip: str) -> Board:
    """A board that has a chip.

    Args:
        board: A board, its name, or the memory of its module as Espressif writes it: ``N8R2`` has 8 MB of flash and
            2 MB of PSRAM.
        chip: The target.

    Raises:
        RecipeError: The board is unknown, or has another chip.
    """
    if isinstance(board, str):
        module = _MODULE.fullmatch(board.strip())
        if module is not None:
            own = own_board(chip, int(module[1]) * MIB, int(module[2] or 0) * MIB)
            return replace(own, name=f"{chip} {board.strip().upper()}")
        board = find_board(board)
    if board.chip != chip:
        raise RecipeError(
            f"has the chip {board.chip}, and the model is for {chip}.",
            subject=f"board {board.name!r}",
            hint=f"Quantize the model for it: --target {board.chip}.",
        )
    return board


def is_module(name: str) -> bool:
    """Whether a name says how much memory a module has, whatever its chip."""
    return _MODULE.fullmatch(name.strip()) is not None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
