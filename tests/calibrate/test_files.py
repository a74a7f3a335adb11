from __future__ import annotations

import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinsmith.calibrate import InputSpec, open_data
from tinsmith.errors import DataError

ONE = [InputSpec("x", (1, 3, 4, 5))]
TWO = [InputSpec("a", (1, 2)), InputSpec("b", (1, 3))]
ROWS = np.arange(360, dtype=np.float32).reshape(6, 3, 4, 5)


def delivered(path: Path, specs: list[InputSpec] = ONE, name: str = "x", **options: object) -> np.ndarray:
    source = open_data(str(path), specs, **options)  # type: ignore[arg-type]
    first = [sample[name] for sample in source]
    again = [sample[name] for sample in source]
    assert np.array_equal(first, again)
    assert len(source) == len(first)
    return np.concatenate(first)


@pytest.mark.parametrize("dtype", ["float32", ">f4", "float16", "uint8", "int64", "bool"])
@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("kind", ["npy", "npz", "npz_compressed"])
def test_files_of_one_array(tmp_path: Path, dtype: str, fortran: bool, kind: str) -> None:
    array = np.asarray(ROWS % 200, dtype=dtype, order="F" if fortran else "C")
    path = tmp_path / f"data.{kind[:3]}"
    if kind == "npy":
        np.save(path, array)
    elif kind == "npz":
        np.savez(path, anything=array)
    else:
        np.savez_compressed(path, x=array)
    assert np.array_equal(delivered(path), array.astype(np.float32))
    assert str(path) in open_data(path, ONE).describe()


def test_a_single_sample_and_other_layouts(tmp_path: Path) -> None:
    path = tmp_path / "one.npy"
    np.save(path, ROWS[0])
    assert np.array_equal(delivered(path), ROWS[:1])
    np.save(path, np.moveaxis(ROWS, 1, -1))
    assert np.array_equal(delivered(path, layout="NHWC"), ROWS)
    np.save(path, ROWS[:, None])
    assert np.array_equal(delivered(path, limit=4), ROWS[:4])


def test_archives_by_name(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    a, b = np.arange(8.0).reshape(4, 2), np.arange(12).reshape(4, 3)
    np.savez(path, b=b, a=a)
    assert np.array_equal(delivered(path, TWO, "a"), a)
    assert np.array_equal(delivered(path, TWO, "b"), b)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"a": np.zeros((4, 2))}, r"data.npz: lacks \['b'\]"),
        ({"a": np.zeros((4, 2)), "b": np.zeros((4, 3)), "labels": np.zeros(4)}, r"has unknown \['labels'\]"),
        ({"a": np.zeros((4, 2)), "b": np.zeros((5, 3))}, "different numbers of samples: 'a' 4, 'b' 5"),
        ({"a": np.zeros((4, 2)), "b": np.zeros((4, 7))}, r"input 'b' has rows of \(7,\), the model takes \(1, 3\)"),
        ({"a": np.zeros((4, 2)), "b": np.full((4, 3), "s")}, r"data.npz\[b.npy\]: holds <U1, not numbers"),
        ({"a": np.zeros((4, 2)), "b": np.full((4, 3), None)}, r"data.npz\[b.npy\]: holds object, not numbers"),
    ],
)
def test_archives_that_do_not_match(tmp_path: Path, arrays: dict[str, np.ndarray], reason: str) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=reason):
        open_data(path, TWO)


def test_arrays_that_do_not_match(tmp_path: Path) -> None:
    path = tmp_path / "data.npy"
    np.save(path, np.zeros((6, 3, 4, 6), np.float32))
    with pytest.raises(DataError, match=r"data.npy: input 'x' has rows of \(3, 4, 6\), the model takes \(1, 3, 4, 5\)"):
        open_data(path, ONE)
    np.save(path, np.zeros((6, 4, 5, 3), np.float32))
    with pytest.raises(DataError, match=r"data.npy\[0\]: input 'x' has shape \(4, 5, 3\).*layout='NHWC'"):
        list(open_data(path, ONE))
    with pytest.raises(DataError, match=r"data.npy: holds one array, the model has inputs \['a', 'b'\]"):
        open_data(path, TWO)
    bad = ROWS.copy()
    bad[3, 0, 0, 0] = np.nan
    np.save(path, bad)
    with pytest.raises(DataError, match=r"data.npy\[3\]: input 'x' holds nan"):
        list(open_data(path, ONE))


def test_files_that_are_not_there_or_not_arrays(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing.npy: there is no such file or folder"):
        open_data(tmp_path / "missing.npy", ONE)
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"data.csv: files ending in '.csv' are not read. Give .npy"):
        open_data(tmp_path / "data.csv", ONE)
    for name in ("bad.npy", "bad.npz"):
        (tmp_path / name).write_bytes(b"not an array at all")
        with pytest.raises(DataError, match=rf"{name}: (is no readable array|cannot be read)"):
            open_data(tmp_path / name, ONE)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "data.npy"
    np.save(path, np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="holds object, not numbers"):
        open_data(path, ONE)


@pytest.mark.parametrize("fortran", [False, True])
def test_truncated_files(tmp_path: Path, fortran: bool) -> None:
    path = tmp_path / "data.npy"
    np.save(path, np.asarray(ROWS, order="F" if fortran else "C"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"data.npy: (ends within row 5: the file is truncated|cannot be read)"):
        list(open_data(path, ONE))


def test_damaged_archives(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(6, 3, 4, 5)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data.npz\[x.npy\]: (is no readable array|cannot be read|ends within row)"):
        list(open_data(path, ONE))


@given(st.data())
def test_any_bytes_end_in_our_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz.{data.draw(st.sampled_from(['npy', 'npz']))}"
    if path.suffix == ".npy":
        np.save(path, ROWS)
    else:
        np.savez(path, x=ROWS)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with suppress(DataError):
        for sample in open_data(path, ONE):
            assert sample["x"].shape == (1, 3, 4, 5)


@pytest.mark.parametrize("compressed", [False, True])
def test_rows_are_read_one_by_one(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "data.npz"
    array = np.zeros((400, 3, 64, 64), np.uint8)
    (np.savez_compressed if compressed else np.savez)(path, x=array)
    tracemalloc.start()
    assert sum(1 for _ in open_data(path, [InputSpec("x", (1, 3, 64, 64))])) == 400
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert highest < array.nbytes / 5


def test_archives_with_folders_and_other_members(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=ROWS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match=r"has unknown \['readme.txt'\]"):
        open_data(path, ONE)
