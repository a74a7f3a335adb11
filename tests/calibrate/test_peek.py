"""The first sample of data, before anybody knows what the model takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinsmith.calibrate.peek import first_samples
from tinsmith.errors import DataError

X = np.arange(24.0).reshape(4, 2, 3)


def shapes(data: Any, layout: str | None = None) -> list[Any]:
    return [_shape(sample) for sample in first_samples(data, layout)]


def _shape(sample: Any) -> Any:
    if isinstance(sample, dict):
        return {name: _shape(part) for name, part in sample.items()}
    return tuple(map(_shape, sample)) if isinstance(sample, tuple) else np.shape(sample)


def test_arrays_hold_samples() -> None:
    assert shapes(X) == [(1, 2, 3), (1, 4, 2, 3)]
    assert shapes({"a": X, "b": X[0]}) == [{"a": (1, 2, 3), "b": (1, 3)}, {"a": (1, 4, 2, 3), "b": (1, 2, 3)}]


def test_items_are_samples_or_batches() -> None:
    assert shapes([X[0], X[1]]) == [(1, 3), (1, 2, 3)]
    assert shapes([(X[:2], [0, 1])]) == [((1, 2, 3), (1,)), ((1, 2, 2, 3), (1, 2))]
    assert shapes([(X[0], 5)]) == [((1, 3), ()), ((1, 2, 3), (1,))]
    assert shapes([[1.0, 2.0], [3.0, 4.0]]) == [(1,), (1, 2)]
    assert shapes(lambda: iter([X[0]])) == [(1, 3), (1, 2, 3)]


def test_datasets_hold_single_samples() -> None:
    class Items:
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            return X[index], "a name"

    assert shapes(Items()) == [((1, 2, 3), ()), ((1, 3), ())]
    assert first_samples(Items())[0][1] == "a name"


def test_layout() -> None:
    pictures = np.zeros((5, 8, 9, 3))
    assert shapes(pictures, "NHWC") == [(1, 3, 8, 9), (1, 5, 8, 9, 3), (1, 8, 9, 3), (1, 5, 8, 9, 3)]
    assert shapes(np.zeros((5, 3, 7)), "NCW")[0] == (1, 7, 3)
    assert shapes(pictures, "nonsense") == shapes(pictures)


def test_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    np.savez(tmp_path / "a.npz", x=X, y=X)
    assert shapes(tmp_path / "a.npy")[0] == (1, 2, 3)
    assert shapes(str(tmp_path / "a.npz"))[0] == {"x": (1, 2, 3), "y": (1, 2, 3)}
    assert shapes(f"{tmp_path / 'a.npz'}:y")[0] == (1, 2, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((x for x in X), "a generator can be walked over only once"),
        (iter([]), "a generator can be walked over only once"),
        ([], "there are no samples"),
        (5, "a int holds no samples"),
        ("/nowhere.npz:key", "/nowhere.npz: cannot be read"),
    ],
)
def test_errors(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        first_samples(data)


def test_an_array_without_rows_and_a_missing_key(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X)
    with pytest.raises(DataError, match="cannot be read"):
        first_samples(f"{tmp_path / 'a.npz'}:z")
    with pytest.raises(DataError, match="there are no samples"):
        first_samples(X[:0])
