"""``.npy`` and ``.npz`` files, read row by row: neither the file nor its pages pile up in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from tinsmith.calibrate.inputs import Array, InputSpec
from tinsmith.calibrate.records import Reader, Record, check_names, common_rows, rows_of
from tinsmith.errors import DataError


@dataclass(frozen=True, slots=True)
class _Stored:
    """An array in a file: how to open its bytes, and what its header says."""

    label: str
    open: Callable[[], IO[bytes]]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool


def npy_reader(path: Path, specs: Sequence[InputSpec]) -> Reader:
    """A ``.npy`` file, for a model with one input.

    Raises:
        DataError: The file is damaged, or not what the model takes.
    """
    if len(specs) != 1:
        names = [spec.name for spec in specs]
        raise DataError(f"holds one array, the model has inputs {names}.", subject=str(path), hint="Use a .npz file.")
    return _reader({specs[0].name: _header(str(path), lambda: path.open("rb"))}, specs, path)


def split_key(text: str) -> tuple[str, str | None]:
    """``data.npz:key``, an array in an archive, as path and key; any other path without a key."""
    before, found, key = text.rpartition(".npz:")
    return (f"{before}.npz", key) if found else (text, None)


def npz_reader(path: Path, specs: Sequence[InputSpec], key: str | None = None) -> Reader:
    """A ``.npz`` file with one array per input, by name; for a single input the only array may have any name.

    Args:
        path: The file.
        specs: The model's inputs.
        key: The array of a single input, where the file holds others too.

    Raises:
        DataError: The file is damaged, or not what the model takes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot be read: {error}.", subject=str(path)) from error
    names = [spec.name for spec in specs]
    if key is not None:
        members = {names[0]: _member(members, key, names, path)}
    elif len(members) == len(names) == 1:
        members = {names[0]: next(iter(members.values()))}
    check_names(members, names, str(path))
    stored = {name: _header(f"{path}[{members[name]}]", _member_opener(path, members[name])) for name in names}
    return _reader(stored, specs, path)


def _member(members: dict[str, str], key: str, names: Sequence[str], path: Path) -> str:
    if len(names) != 1:
        raise DataError(f"names one array, the model has the inputs {list(names)}.", subject=f"{path}:{key}")
    if key not in members:
        raise DataError(f"holds no array {key!r}.", subject=str(path), hint=f"It holds {list(members)}.")
    return members[key]


def _member_opener(path: Path, member: str) -> Callable[[], IO[bytes]]:
    def open_member() -> IO[bytes]:
        with zipfile.ZipFile(path) as archive:
            return archive.open(member)  # keeps the file open until it is closed itself

    return open_member


def _reader(stored: dict[str, _Stored], specs: Sequence[InputSpec], path: Path) -> Reader:
    rows = common_rows({spec.name: rows_of(stored[spec.name].shape, spec, str(path)) for spec in specs}, str(path))
    for spec in specs:
        shape = stored[spec.name].shape
        if prod(shape if rows is None else shape[1:]) != prod(spec.shape):
            found = f"shape {shape}" if rows is None else f"rows of {shape[1:]}"
            reason = f"input {spec.name!r} has {found}, the model takes {spec.shape}."
            raise DataError(reason, subject=str(path))
    shapes = ", ".join(f"{name} {array.shape}" for name, array in stored.items())
    return Reader(lambda: _records(stored, rows, path), 1 if rows is None else rows, f"{path}: {shapes}")


def _records(stored: dict[str, _Stored], rows: int | None, path: Path) -> Iterator[Record]:
    with ExitStack() as stack:
        walks = {name: _walk(array, rows, stack) for name, array in stored.items()}
        for row in range(1 if rows is None else rows):
            label = str(path) if rows is None else f"{path}[{row}]"
            yield label, {name: next(walk) for name, walk in walks.items()}


def _walk(array: _Stored, rows: int | None, stack: ExitStack) -> Iterator[Array]:
    shape = array.shape if rows is None else array.shape[1:]
    if array.fortran:  # rows are scattered over the file: the one case that is read whole
        whole = _whole(array)
        yield from [whole] if rows is None else whole
        return
    file = stack.enter_context(array.open())
    _skip_header(file)
    size = prod(shape) * array.dtype.itemsize
    for row in range(1 if rows is None else rows):
        data = _read(file, size, array.label)
        if len(data) != size:
            raise DataError(f"ends within row {row}: the file is truncated.", subject=array.label)
        yield np.frombuffer(data, dtype=array.dtype).reshape(shape)


def _whole(array: _Stored) -> Array:
    try:
        with array.open() as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except Exception as error:  # numpy's parser and the decompressors each have their own
        raise DataError(f"cannot be read: {error}.", subject=array.label) from error


def _read(file: IO[bytes], size: int, label: str) -> bytes:
    try:
        return file.read(size)
    except Exception as error:  # zlib, lzma, bz2 and zipfile each have their own
        raise DataError(f"cannot be read: {error}.", subject=label) from error


def _header(label: str, opener: Callable[[], IO[bytes]]) -> _Stored:
    try:
        with opener() as file:
            shape, fortran, dtype = _skip_header(file)
    except FileNotFoundError as error:
        raise DataError("there is no such file.", subject=label) from error
    except Exception as error:  # numpy's parser and the decompressors each have their own
        raise DataError(f"is no readable array: {error}.", subject=label) from error
    if dtype.kind not in "biuf":
        raise DataError(f"holds {dtype}, not numbers.", subject=label)
    return _Stored(label, opener, shape, dtype, fortran)


def _skip_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)
