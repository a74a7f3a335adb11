"""Tensors in files: .npy, .npz, and folders that `dump` and ``tinsmith run --save-all`` write."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tinsmith.errors import DataError
from tinsmith.files import write_all
from tinsmith.program import Array, Program

INDEX = "tensors.json"
"""What lists the tensors of a folder: by name their file, type, shape and exponents."""

_LONGEST = 120


def load(path: Path) -> dict[str, Array]:
    """The arrays of a .npz file by name; that of a .npy file under an empty name.

    Raises:
        DataError: It cannot be read.
    """
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.lib.npyio.NpzFile):
            with found:
                return {name: found[name] for name in found.files}
        return {"": found}
    except FileNotFoundError as error:
        raise DataError("there is no such file.", subject=str(path)) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        hint = "Give .npy or .npz."
        raise DataError(f"cannot be read as an array: {error}.", subject=str(path), hint=hint) from error


def save_tensors(folder: Path, program: Program, arrays: Mapping[str, Array]) -> int:
    """Write a .npy file for each tensor, and tensors.json, which says what is where. The number of tensors."""
    files = file_names(list(arrays))
    index = {
        name: {
            "file": files[name],
            "dtype": array.dtype.name,
            "shape": list(array.shape),
            "exponents": list(program.values[name].exponents),
        }
        for name, array in arrays.items()
    }
    contents = {folder / files[name]: npy(array) for name, array in arrays.items()}
    listing = json.dumps(index, indent=2, ensure_ascii=False) + "\n"
    write_all({**contents, folder / INDEX: listing.encode()})
    return len(arrays)


def file_names(names: Sequence[str]) -> dict[str, str]:
    """A file name for each tensor: letters, digits and ``._-`` kept, distinct even where case does not count."""
    taken: set[str] = set()
    result: dict[str, str] = {}
    for name in names:
        base = re.sub(r"[^\w.-]+", "_", name).strip("._")[:_LONGEST] or "tensor"
        candidate, count = base, 1
        while candidate.casefold() in taken:
            count += 1
            candidate = f"{base}_{count}"
        taken.add(candidate.casefold())
        result[name] = f"{candidate}.npy"
    return result


def npy(array: Array) -> bytes:
    """The bytes of a .npy file."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
