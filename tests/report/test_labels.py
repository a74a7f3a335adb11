"""Labels from arrays, .npy, .npz and .csv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinsmith.errors import DataError
from tinsmith.report.labels import read_labels


@pytest.mark.parametrize(
    "given",
    [[2, 0, 1], np.array([2, 0, 1], np.uint8), np.array([2.0, 0.0, 1.0]), np.array([[2], [0], [1]], np.int32)],
    ids=["list", "uint8", "whole floats", "column"],
)
def test_arrays(given: Any) -> None:
    found = read_labels(given)
    assert found.dtype == np.int64
    assert found.tolist() == [2, 0, 1]


WRONG = {
    "one-hot": (np.eye(3), "labels have shape (3, 3), expected one number per sample. One-hot rows become indices"),
    "pictures": (np.zeros((2, 3, 4)), "labels have shape (2, 3, 4)"),
    "shares": ([0.5, 1.0], "labels are no whole numbers"),
    "words": (["cat", "dog"], "labels are no whole numbers"),
    "negative": ([0, 1, -2], "the label of sample 2 is -2"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG.keys())
def test_arrays_that_are_no_labels(given: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_labels(given)
    assert str(caught.value).startswith(f"labels: {message}")


def test_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", np.array([3, 1]))
    assert read_labels(tmp_path / "l.npy").tolist() == [3, 1]
    assert read_labels(str(tmp_path / "l.npy")).tolist() == [3, 1]


def test_npz_with_one_candidate(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", X=np.zeros((2, 3), np.float32), y=np.array([1, 0]), weight=np.ones(2))
    assert read_labels(tmp_path / "d.npz").tolist() == [1, 0]
    assert read_labels(f"{tmp_path}/d.npz:y").tolist() == [1, 0]


def test_npz_with_several_candidates(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", a=np.array([1, 0]), b=np.array([0, 1]))
    assert read_labels(f"{tmp_path}/d.npz:b").tolist() == [0, 1]
    with pytest.raises(DataError, match=r"holds several 1-D arrays of integers: \['a', 'b'\]\. Name .*d\.npz:a\."):
        read_labels(tmp_path / "d.npz")
    with pytest.raises(DataError, match=r"holds no array 'c'\. It holds \['a', 'b'\]"):
        read_labels(f"{tmp_path}/d.npz:c")


def test_npz_without_a_candidate(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", X=np.zeros((2, 3)))
    with pytest.raises(DataError, match="holds no 1-D array of integers"):
        read_labels(tmp_path / "d.npz")
    with pytest.raises(DataError, match=r"d\.npz:X: labels have shape \(2, 3\)"):
        read_labels(f"{tmp_path}/d.npz:X")


@pytest.mark.parametrize("name", ["l.npy", "l.npz"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError, match=rf"{name}: (cannot be read|is no \.npz)"):
        read_labels(tmp_path / name)


def test_a_truncated_member(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", y=np.arange(1000))
    content = bytearray((tmp_path / "d.npz").read_bytes())
    content[4000:4010] = b"0123456789"
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"d\.npz:y: cannot be read"):
        read_labels(tmp_path / "d.npz")


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        read_labels(tmp_path / "l.npy")


def test_files_of_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "l.json").write_text("[1]")
    with pytest.raises(DataError, match=r"files ending in '\.json' hold no labels"):
        read_labels(tmp_path / "l.json")
    with pytest.raises(DataError, match=r"no\.npy: there is no such file"):
        read_labels(tmp_path / "no.npy")


def csv(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, "utf-8")
    return path


def test_csv_in_the_order_of_the_samples(tmp_path: Path) -> None:
    assert read_labels(csv(tmp_path, "label\n4\n0\n")).tolist() == [4, 0]
    assert read_labels(csv(tmp_path, "\ufeffname, Label \na,4\nb, 0\n")).tolist() == [4, 0]


def test_csv_by_picture(tmp_path: Path) -> None:
    path = csv(tmp_path, 'author,file,label\nme,b/1.png,7\n"x, y",a/1.png,8\nme,größe.jpg,9\n')
    pictures = [tmp_path / name for name in ("a/1.png", "b/1.png", "deep/größe.jpg")]
    assert read_labels(path, pictures).tolist() == [8, 7, 9]


def test_csv_without_a_row_for_a_picture(tmp_path: Path) -> None:
    path = csv(tmp_path, "file,label\na.png,1\n")
    with pytest.raises(DataError, match=r"labels\.csv: .*b\.png: has no row for this picture"):
        read_labels(path, [tmp_path / "a.png", tmp_path / "b.png"])


CSV_ERRORS = {
    "no label": ("file,class\na,1\n", "has no column `label`. Its columns: file, class."),
    "empty": ("", "has no column `label`. Its columns: none."),
    "no file": ("name,label\na,1\n", "has no column `file`."),
    "a word": ("file,label\na,1\nb,cat\n", "line 3: the label is 'cat'."),
    "missing": ("file,label\na\n", "line 2: the label is ''."),
    "negative": ("file,label\na,-1\n", "line 2: the label is '-1'."),
}


@pytest.mark.parametrize(("text", "message"), CSV_ERRORS.values(), ids=CSV_ERRORS.keys())
def test_csv_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_labels(csv(tmp_path, text), [tmp_path / "a"])
    assert message in str(caught.value)


def test_csv_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_bytes(b"file,label\n\xff\xfe,1\n")
    with pytest.raises(DataError, match=r"l\.csv: cannot be read"):
        read_labels(tmp_path / "l.csv")
