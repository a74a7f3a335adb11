"""Dumped tensors: a folder, an .npz file, the log of a board, or arrays in memory."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tinsmith.errors import DataError
from tinsmith.program import Array, Program
from tinsmith.report.compare.board_log import MARK, read_log
from tinsmith.report.compare.held import Held, stands_for_reals
from tinsmith.report.compare.tensor_files import INDEX, load, save_tensors
from tinsmith.simulator.run import simulate
from tinsmith.targets import Target

_HEAD = 1 << 22
_SUFFIXES = (".npz", ".log", ".txt")
_LARGEST_EXPONENT = 127


def dump(
    program: Program, inputs: Mapping[str, ArrayLike], folder: str | Path, target: str | Target | None = None
) -> int:
    """Write every tensor of a simulated run to a folder, as `compare` reads it.

    Args:
        program: What the chip would load.
        inputs: As for `tinsmith.simulate`; the samples of a batch stand one after the other.
        folder: Made if absent: a .npy file for each tensor, and tensors.json.
        target: The chip, for files that do not name theirs.

    Returns:
        How many tensors were written.

    Raises:
        DataError: The inputs do not fit.
        TinsmithError: A file cannot be written.
    """
    return save_tensors(Path(folder), program, simulate(program, inputs, target, save_all=True))


def read_dump(source: Any) -> dict[str, Held]:
    """Dumped tensors by name, in their order.

    Args:
        source: A folder with tensors.json or with .npy files, an .npz file, the log of a board, or a mapping.

    Raises:
        DataError: Something is missing, damaged, or no tensor.
    """
    if isinstance(source, Mapping):
        return _checked({str(name): _held(np.asarray(array)) for name, array in source.items()}, "tensors")
    path = Path(source)
    if path.is_dir():
        indexed = (path / INDEX).is_file()
        return _checked(_indexed(path) if indexed else _loose(path), str(path))
    if path.suffix.lower() == ".npz":
        return _checked({_name(key): _held(array) for key, array in load(path).items()}, str(path))
    return _checked(
        {name: _held(array, exponent) for name, (array, exponent) in read_log(_text(path), str(path)).items()},
        str(path),
    )


def is_dump(source: Any) -> bool:
    """Whether it is a dump, and no model."""
    if isinstance(source, Mapping):
        return True
    path = Path(source)
    if path.is_dir():
        return (path / INDEX).is_file() or any(path.glob("*.npy"))
    if path.suffix.lower() in _SUFFIXES:
        return path.exists()
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return any(MARK.encode(encoding) in head for encoding in ("ascii", "utf-16-le"))


def _name(key: str) -> str:
    """A name as it was before it became a key of an archive, where no slash may stand."""
    return key if "/" in key else key.replace("|", "/")


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}.", subject=str(path)) from error
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell redirects
    return data.decode("utf-16" if wide else "utf-8", errors="replace")


def _held(array: Array, exponent: int | None = None) -> Held:
    quantized = stands_for_reals(array.dtype)
    return Held(array, exponent if quantized else None, "file" if quantized else "")


def _checked(tensors: dict[str, Held], subject: str) -> dict[str, Held]:
    if not tensors:
        raise DataError("holds no tensors.", subject=subject)
    for name, held in tensors.items():
        if held.data.dtype.kind not in "fiub":
            raise DataError(f"tensor {name!r} holds {held.data.dtype}, not numbers.", subject=subject)
        if held.exponent is not None and abs(held.exponent) > _LARGEST_EXPONENT:
            raise DataError(f"tensor {name!r} has the exponent {held.exponent}, which is none.", subject=subject)
    return tensors


def _loose(folder: Path) -> dict[str, Held]:
    return {path.stem: _held(load(path)[""]) for path in sorted(folder.glob("*.npy"))}


def _indexed(folder: Path) -> dict[str, Held]:
    listing = folder / INDEX
    try:
        entries = json.loads(listing.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {error}.", subject=str(listing)) from error
    if not isinstance(entries, dict):
        raise DataError("is no list of tensors by name.", subject=str(listing))
    return {name: _entry(folder, name, entry) for name, entry in entries.items()}


def _entry(folder: Path, name: str, entry: Any) -> Held:
    subject = f"{folder / INDEX}, tensor {name!r}"
    try:
        file, dtype = str(entry["file"]), np.dtype(str(entry["dtype"]))
        shape = tuple(int(extent) for extent in entry["shape"])
        exponents = [int(exponent) for exponent in entry.get("exponents", ())]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        hint = "An entry has file, dtype, shape and, for integers, exponents."
        raise DataError(f"cannot be understood: {error}.", subject=subject, hint=hint) from error
    if Path(file).name != file:
        raise DataError(f"its file {file!r} is not in the folder.", subject=subject)
    array = load(folder / file).get("") if file.endswith(".npy") else _raw(folder / file, dtype, shape, subject)
    if array is None or array.shape != shape or array.dtype != dtype:
        found = "no array" if array is None else f"{array.dtype} {list(array.shape)}"
        raise DataError(f"{file!r} holds {found}, the list says {dtype} {list(shape)}.", subject=subject)
    return _held(array, exponents[0] if exponents else None)


def _raw(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], subject: str) -> Array:
    """Elements as they lie in memory, little-endian."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name!r} cannot be read: {error.strerror}.", subject=subject) from error
    if dtype.kind not in "fiub" or len(data) != prod(shape) * dtype.itemsize:
        reason = f"{path.name!r} has {len(data)} bytes, {dtype} {list(shape)} has {prod(shape) * dtype.itemsize}."
        raise DataError(reason, subject=subject)
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
