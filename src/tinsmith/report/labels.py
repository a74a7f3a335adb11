"""Class labels, from arrays and files, as one number per sample."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinsmith.calibrate.files import split_key
from tinsmith.errors import DataError

Labels = NDArray[np.int64]


def read_labels(labels: Any, images: Sequence[Path] | None = None) -> Labels:
    """The class index of every sample.

    Args:
        labels: An array or a sequence of class indices; or the path of a ``.npy`` file, of an ``.npz`` file
            (``labels.npz:key`` where it holds several arrays of integers), or of a ``.csv`` file with a column `label`.
        images: The pictures of a folder, in the order they are read; a ``.csv`` then needs a column `file`, and rows
            find their picture by its path or name. None where the data are arrays: rows are in their order.

    Returns:
        [N] int64.

    Raises:
        DataError: The labels cannot be read, are no class indices, or a picture has none.
    """
    if not isinstance(labels, (str, Path)):
        return _indices(np.asarray(labels), "labels")
    text, key = split_key(str(labels))
    path = Path(text).expanduser()
    if not path.is_file():
        raise DataError("there is no such file.", subject=str(path))
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _from_csv(path, images)
    if suffix == ".npz":
        return _from_npz(path, key)
    if suffix == ".npy":
        return _indices(_load(path), str(path))
    raise DataError(f"files ending in {suffix!r} hold no labels.", subject=str(path), hint="Give .npy, .npz or .csv.")


def labels_for(labels: Any, data: Any) -> Labels:
    """The class index of every sample of ``data``, which may be a folder of images.

    Args:
        labels: See `read_labels`.
        data: What the samples are read from.

    Raises:
        DataError: As `read_labels`.
    """
    from tinsmith.calibrate.images import image_paths

    folder = Path(data).expanduser() if isinstance(data, (str, Path)) else None
    return read_labels(labels, image_paths(folder) if folder is not None and folder.is_dir() else None)


def check_count(labels: Labels | None, count: int | None, limit: int | None) -> None:
    """Refuse another number of labels than of samples.

    Args:
        labels: None where there are none.
        count: Of samples; None where it is not known yet.
        limit: How many samples are used at most; there may be more labels then.

    Raises:
        DataError: They differ.
    """
    if labels is None or count is None:
        return
    if len(labels) < count or (limit is None and len(labels) > count):
        raise DataError(f"{len(labels)} labels were given for {count} samples.", subject="labels")


def _load(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot be read: {error}", subject=str(path)) from error


def _from_npz(path: Path, key: str | None) -> Labels:
    archive = _load(path)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise DataError("is no .npz archive.", subject=str(path))
    with archive:
        chosen = key if key is not None else _only_labels(archive, path)
        if chosen not in archive.files:
            raise DataError(f"holds no array {chosen!r}.", subject=str(path), hint=f"It holds {archive.files}.")
        try:
            array = archive[chosen]
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"cannot be read: {error}", subject=f"{path}:{chosen}") from error
    return _indices(array, f"{path}:{chosen}")


def _only_labels(archive: np.lib.npyio.NpzFile, path: Path) -> str:
    """The name of the only 1-D array of integers; the others, which may be large, are not read."""
    fitting = [name for name in archive.files if _holds_labels(archive, name)]
    if len(fitting) == 1:
        return fitting[0]
    found = f"holds several 1-D arrays of integers: {fitting}." if fitting else "holds no 1-D array of integers."
    example = (fitting or archive.files or ["key"])[0]
    raise DataError(found, subject=str(path), hint=f"Name the array, for example {path}:{example}.")


def _holds_labels(archive: np.lib.npyio.NpzFile, name: str) -> bool:
    members = archive.zip
    assert members is not None
    try:
        with members.open(f"{name}.npy" if f"{name}.npy" in members.namelist() else name) as file:
            version = np.lib.format.read_magic(file)
            old = version == (1, 0)
            read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error):
        return False
    return len(shape) == 1 and dtype.kind in "iu"


def _indices(array: NDArray[Any], subject: str) -> Labels:
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1:
        hint = "One-hot rows become indices with argmax(1)." if flat.ndim == 2 else ""
        raise DataError(f"labels have shape {array.shape}, expected one number per sample.", subject=subject, hint=hint)
    if flat.dtype.kind not in "iufb" or (flat.dtype.kind == "f" and not np.array_equal(flat, np.floor(flat))):
        raise DataError("labels are no whole numbers.", subject=subject, hint="Give the index of each sample's class.")
    found = flat.astype(np.int64)
    if found.size and found.min() < 0:
        raise DataError(f"the label of sample {int(found.argmin())} is {int(found.min())}.", subject=subject)
    return found


def _from_csv(path: Path, images: Sequence[Path] | None) -> Labels:
    rows, columns = _rows(path)
    if "label" not in columns:
        hint = f"Its columns: {', '.join(columns) or 'none'}."
        raise DataError("has no column `label`.", subject=str(path), hint=hint)
    if images is None:
        return np.array([_index(row, path, line) for line, row in enumerate(rows, 2)], np.int64)
    if "file" not in columns:
        raise DataError("has no column `file`.", subject=str(path), hint="Folders of images need it.")
    by_file = {Path(row["file"]).as_posix(): _index(row, path, line) for line, row in enumerate(rows, 2)}
    return np.array([_label_of(image, by_file, path) for image in images], np.int64)


def _rows(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", skipinitialspace=True)
            names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            return [{key: value.strip() for key, value in row.items() if key is not None} for row in reader], names
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot be read: {error}", subject=str(path)) from error


def _index(row: Mapping[str, str], path: Path, line: int) -> int:
    if not row["label"].isdecimal():
        raise DataError(
            f"the label is {row['label']!r}.", subject=f"{path}, line {line}", hint="Labels are class indices: 0, 1, …"
        )
    return int(row["label"])


def _label_of(image: Path, by_file: Mapping[str, int], path: Path) -> int:
    """The label of the longest end of the picture's path that a row names."""
    parts = image.parts
    for start in range(len(parts)):
        label = by_file.get("/".join(parts[start:]).replace("//", "/"))
        if label is not None:
            return label
    raise DataError("has no row for this picture.", subject=f"{path}: {image}", hint="Add one, or remove the picture.")
