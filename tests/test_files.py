"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tinsmith.errors import TinsmithError
from tinsmith.files import write_all


def everything(folder: Path) -> dict[str, bytes]:
    """All files below a folder, temporary ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_folders_are_made_and_files_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    write_all({tmp_path / "a": b"new", tmp_path / "tief/größer" / "b.bin": b"\0\1"})
    assert everything(tmp_path) == {"a": b"new", "tief/größer/b.bin": b"\0\1"}


def test_the_longest_name_a_file_may_have(tmp_path: Path) -> None:
    write_all({tmp_path / ("n" * 255): b"1"})
    assert everything(tmp_path) == {"n" * 255: b"1"}


def test_the_mode_is_that_of_ordinary_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_all({tmp_path / "a": b""})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_folder_in_the_place_of_the_second_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").mkdir()
    with pytest.raises(TinsmithError, match=r"b: cannot be written: Is a directory\."):
        write_all({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert everything(tmp_path) == {"a": b"old"}


def test_a_file_in_the_place_of_a_folder_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(TinsmithError, match=r"cannot be written: .*a is no folder\."):
        write_all({tmp_path / "b": b"new", tmp_path / "a" / "c": b"new"})
    assert everything(tmp_path) == {"a": b"old"}


def test_a_name_that_is_too_long_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(TinsmithError, match="cannot be written: File name too long"):
        write_all({tmp_path / "a": b"new", tmp_path / ("n" * 300): b"new"})
    assert everything(tmp_path) == {"a": b"old"}


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tinsmith.files.os.chmod", full)
    with pytest.raises(TinsmithError, match=r"a: cannot be written: No space left on device\."):
        write_all({tmp_path / "a": b"new"})
    assert everything(tmp_path) == {"a": b"old"}


def test_an_interruption_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tinsmith.files.os.chmod", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_all({tmp_path / "a": b"new"})
    assert everything(tmp_path) == {"a": b"old"}
