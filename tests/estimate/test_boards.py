"""The table of boards, and how one is found."""

from __future__ import annotations

import pytest

from tinsmith.errors import RecipeError
from tinsmith.estimate.boards import (
    BOARDS,
    INTERNAL,
    Board,
    board_with,
    boards_with,
    find_board,
    is_module,
    own_board,
)
from tinsmith.targets import TARGETS
from tinsmith.units import KIB, MIB


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_boards_are_consistent(board: Board) -> None:
    assert board.chip in TARGETS
    assert board.flash in {4 * MIB, 8 * MIB, 16 * MIB, 32 * MIB}
    assert (board.psram > 0) is (board.kind != "")
    assert board.internal == INTERNAL[board.chip]
    assert find_board(board.name) is board


@pytest.mark.parametrize("board", [b for b in BOARDS.values() if "DevKitC-1-N" in b.name], ids=lambda board: board.name)
def test_names_of_modules_say_what_is_on_them(board: Board) -> None:
    flash, _, psram = board.name.split("-N")[1].rstrip("V").partition("R")
    assert board.flash == int(flash) * MIB
    assert board.psram == int(psram or 0) * MIB


@pytest.mark.parametrize("name", ["esp32-s3-eye", "ESP32 S3 EYE", "esp32s3_eye", "ESP32S3EYE"])
def test_spelling_does_not_matter(name: str) -> None:
    assert find_board(name).name == "ESP32-S3-EYE"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ESP32-S3-EEY", "Did you mean ESP32-S3-EYE"),
        ("esp32-c3-devkit", "Did you mean ESP32-C3-DevKitM-1 or ESP32-C3-DevKitC-02?"),
        ("ESP32-S3-DevKitC-1", "ESP32-S3-DevKitC-1-N8 or ESP32-S3-DevKitC-1-N8R2 or"),
        ("raspberry", "Known boards: ESP32-S3-DevKitC-1-N8, "),
        ("", "Known boards: "),
    ],
)
def test_an_unknown_board_is_told_with_what_comes_close(name: str, hint: str) -> None:
    with pytest.raises(RecipeError, match="board: unknown board") as caught:
        find_board(name)
    assert hint in str(caught.value)


def test_boards_by_chip() -> None:
    assert {board.name for board in boards_with("esp32p4")} == {"ESP32-P4-Function-EV-Board", "ESP32-P4-EYE"}
    assert boards_with("c") == ()
    assert sum(len(boards_with(chip)) for chip in TARGETS) == len(BOARDS)


def test_a_board_of_ones_own() -> None:
    assert own_board("esp32s3", 4 * MIB) == Board("a board with esp32s3", "esp32s3", 4 * MIB, 0, "", 256 * KIB)
    assert own_board("esp32s31", MIB, 2 * MIB, 5) == Board("a board with esp32s31", "esp32s31", MIB, 2 * MIB, "", 5)


def test_an_unknown_chip_needs_its_internal_memory() -> None:
    with pytest.raises(RecipeError, match="how much internal RAM a model may take on esp32s31 is not known"):
        own_board("esp32s31", MIB)


@pytest.mark.parametrize(
    ("sizes", "what"), [((-1, 0, 0), "flash"), ((0, -1, 0), "PSRAM"), ((0, 0, -1), "internal RAM")]
)
def test_negative_sizes_are_refused(sizes: tuple[int, int, int], what: str) -> None:
    with pytest.raises(RecipeError, match=f"-1 bytes of {what} are no size"):
        own_board("esp32s3", *sizes)


def test_a_board_with_a_chip() -> None:
    assert board_with("esp32-s3-eye", "esp32s3") is BOARDS["ESP32-S3-EYE"]
    assert board_with(BOARDS["ESP32-P4-EYE"], "esp32p4") is BOARDS["ESP32-P4-EYE"]
    with pytest.raises(RecipeError, match=r"has the chip esp32s3.*--target esp32s3"):
        board_with("ESP32-S3-EYE", "esp32p4")


def test_modules_say_their_memory_in_their_names() -> None:
    board = board_with("n16r8", "esp32s3")
    assert (board.name, board.flash, board.psram, board.internal) == (
        "esp32s3 N16R8",
        16 * MIB,
        8 * MIB,
        INTERNAL["esp32s3"],
    )
    assert board_with("N4", "esp32c3").psram == 0
    assert is_module("N32R16V")
    assert not is_module("ESP32-S3-EYE")
