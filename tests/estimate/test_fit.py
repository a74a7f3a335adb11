"""Yes or no, and what is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.estimate.published import program as published
from tests.estimate.published import rows
from tests.shared import shared_path
from tinsmith.estimate.boards import find_board, own_board
from tinsmith.estimate.fit import Application, Need, fit
from tinsmith.estimate.memory import MemoryPlan, plan_memory
from tinsmith.estimate.parameters import parameter_bytes
from tinsmith.targets import find
from tinsmith.units import KIB, MIB

NOTHING = Application(0, 0, 0)


def plan(external: int, internal: int = 0) -> MemoryPlan:
    return MemoryPlan((), (), (), internal, internal, external)


def test_exactly_enough_fits_one_byte_less_does_not() -> None:
    board = own_board("esp32s3", 64 * KIB + 1000, 500, 70)
    assert fit(1000, plan(300, 64), 200, board, application=NOTHING).fits
    assert fit(1001, plan(300, 64), 200, board, application=NOTHING).missing == (
        "flash: 65.0 KiB needed, 65.0 KiB there, 1 bytes missing",
    )
    assert fit(1000, plan(301, 64), 200, board, application=NOTHING).missing == (
        "memory (PSRAM): 501 bytes needed, 500 bytes there, 1 bytes missing",
    )
    assert fit(1000, plan(300, 80), 200, board, application=NOTHING).missing == (
        "memory (internal RAM): 80 bytes needed, 70 bytes there, 10 bytes missing",
    )


def test_without_psram_everything_goes_to_internal_memory() -> None:
    board = own_board("esp32c3", 4 * MIB, 0, 1000)
    found = fit(10, plan(700), 300, board)
    assert found.fits
    assert [need.where for need in found.needs] == ["flash", "internal RAM"]
    assert fit(10, plan(700, 16), 300, board).missing == (
        "memory (internal RAM): 1,016 bytes needed, 1,000 bytes there, 16 bytes missing",
    )


def test_parameters_in_flash_take_no_memory_and_are_proposed_where_that_helps() -> None:
    board = own_board("esp32s3", 4 * MIB, 1000)
    copied = fit(10, plan(900), 200, board)
    assert not copied.fits
    assert "param_copy = false" in copied.remedy
    left = fit(10, plan(900), 200, board, copy=False)
    assert left.fits
    assert (left.copied, left.remedy) == (False, "")
    assert fit(10, plan(1100), 200, board).remedy == ""
    assert fit(5 * MIB, plan(900), 200, board).remedy == ""


def test_the_application_is_counted() -> None:
    board = own_board("esp32s3", 2 * MIB, 1000, 1000)
    assert fit(MIB - 64 * KIB, plan(0), 0, board).fits
    assert not fit(MIB - 64 * KIB + 1, plan(0), 0, board).fits
    assert fit(MIB, plan(1000), 0, board, application=Application(flash=MIB - 64 * KIB)).fits
    assert not fit(0, plan(1000), 0, board, application=Application(psram=1)).fits
    assert not fit(0, plan(0), 0, board, application=Application(internal=1001)).fits


def test_all_that_is_missing_is_told() -> None:
    board = find_board("ESP32-C3-DevKitM-1")
    found = fit(9 * MIB, plan(3 * MIB), MIB, board)
    assert not found.fits
    assert found.board is board
    assert found.missing == (
        "flash: 10.1 MiB needed, 4.00 MiB there, 6.06 MiB missing",
        "memory (internal RAM): 4.00 MiB needed, 200 KiB there, 3.80 MiB missing",
    )


def test_a_need_counts_what_is_missing() -> None:
    assert Need("flash", "flash", 5, 4, 8).missing == 1
    assert Need("flash", "flash", 5, 3, 8).missing == 0
    assert str(Need("memory", "PSRAM", 2 * MIB, 0, 8 * MIB)) == "memory (PSRAM): 2.00 MiB needed, 8.00 MiB there"


@pytest.mark.parametrize("row", rows())
def test_published_models_fit_the_boards_they_are_shown_on(row: dict[str, str]) -> None:
    program, target = published(row), find(row["target"])
    board = find_board({"esp32s3": "ESP32-S3-EYE", "esp32p4": "ESP32-P4-Function-EV-Board"}[row["target"]])
    file_bytes = int(row["flatbuffer_bytes"])
    assert fit(file_bytes, plan_memory(program, target), parameter_bytes(program), board).fits


def test_the_manual_shows_code_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shared_path("golden/published/esp32s3__imagenet_cls_mobilenetv2_s8_v1.espdl")
    (tmp_path / "model.espdl").write_bytes(model.read_bytes())
    monkeypatch.chdir(tmp_path)
    manual = (Path(__file__).parents[2] / "docs/memory.md").read_text("utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", manual, flags=re.DOTALL | re.MULTILINE):
        exec(block, names)
    assert capsys.readouterr().out == "1705984 3542144\nTrue () \n"
    assert isinstance(names["plan"], MemoryPlan)
    assert f"reserves {names['plan'].peak:,} bytes" in " ".join(manual.split())
    assert f"{max(names['plan'].live):,} are in use" in " ".join(manual.split())
