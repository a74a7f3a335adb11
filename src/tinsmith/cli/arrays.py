"""Arrays from and to files, for ``tinsmith run``."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tinsmith.errors import DataError
from tinsmith.files import write_all
from tinsmith.program import Program
from tinsmith.report.compare.tensor_files import load, npy

Array = NDArray[Any]


def read_inputs(program: Program, given: Sequence[str]) -> Mapping[str, Array]:
    """The inputs named on the command line; the sample embedded in the file where there are none.

    Args:
        program: Its inputs' names tell ``name=path`` from a path that contains an equals sign.
        given: ``name=x.npy``; ``x.npy`` for a program of one input; ``x.npz`` with an array for each input by name.

    Raises:
        DataError: A file cannot be read, names no input, or there is nothing to run.
    """
    if not given:
        if not program.test_inputs:
            hint = f"Give --input, for example --input {program.inputs[0].name if program.inputs else 'x'}=x.npy."
            raise DataError("the file holds no sample to run.", subject="inputs", hint=hint)
        return program.test_inputs
    names = [value.name for value in program.inputs]
    found: dict[str, Array] = {}
    for text in given:
        for name, array in _read(text, names).items():
            if name in found:
                raise DataError("is given twice.", subject=f"input {name!r}")
            found[name] = array
    return found


def _read(text: str, names: Sequence[str]) -> dict[str, Array]:
    # Names and paths may both contain "=": a file that is there wins, then the longest name.
    if Path(text).exists():
        return _named(load(Path(text)), text, names)
    known = [name for name in sorted(names, key=len, reverse=True) if text.startswith(f"{name}=")]
    name, _, path = (known[0], "", text[len(known[0]) + 1 :]) if known else text.partition("=")
    if not path:
        return _named(load(Path(text)), text, names)
    arrays = load(Path(path))
    if len(arrays) != 1:
        raise DataError(f"holds {len(arrays)} arrays: {list(arrays)}.", subject=path, hint="Give it without a name.")
    return {name: next(iter(arrays.values()))}


def _named(arrays: dict[str, Array], text: str, names: Sequence[str]) -> dict[str, Array]:
    if len(arrays) == 1 and (len(names) == 1 or "" in arrays):
        if len(names) != 1:
            raise DataError("holds one array.", subject=text, hint=f"Say which input it is: {names[0]}={text}.")
        return {names[0]: next(iter(arrays.values()))}
    return arrays


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> Path:
    """Write a .npz file, under its names; the suffix is added where it is missing. The path."""
    destination = path if path.suffix.lower() == ".npz" else path.with_name(f"{path.name}.npz")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            # ZipInfo's default date makes equal arrays equal files; np.savez would also refuse an output named "file".
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), npy(array))
    write_all({destination: buffer.getvalue()})
    return destination
