"""From what a user names to a side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinsmith.errors import DataError, ModelError
from tinsmith.ops.layouts import Perm
from tinsmith.program import Program
from tinsmith.report.compare.dumps import is_dump, read_dump
from tinsmith.report.compare.sides import DumpSide, FloatSide
from tinsmith.report.floats import as_onnx, proto_of


def opened(source: Any, beside: Program | None) -> FloatSide | DumpSide:
    """A side that is no program.

    Args:
        source: A float model or its path; a dump.
        beside: The program on the other side, where there is one: it knows the inputs of a float model.

    Raises:
        DataError: A dump cannot be read.
        ModelError: A float model cannot be read.
    """
    label = label_of(source)
    if isinstance(source, (str, Path, Mapping)) and is_dump(source):
        return DumpSide(read_dump(source), label)
    if isinstance(source, (str, Path)) and not Path(source).exists():
        raise DataError("there is no such file or folder.", subject=label)
    if isinstance(source, (str, Path)) and Path(source).is_dir() and not any(Path(source).glob("*.pb")):
        raise DataError("holds neither tensors nor a model.", subject=label, hint="Dumps are .npy files.")
    if isinstance(source, (str, Path)) and Path(source).suffix.lower() == ".npy":
        raise DataError(
            "holds one array without a name.", subject=label, hint="Give the folder it is in, or a .npz file."
        )
    return FloatSide(_float(source, beside), label)


def label_of(source: Any) -> str:
    """What messages call it."""
    if isinstance(source, (str, Path)):
        return str(source)
    return "tensors" if isinstance(source, Mapping) else type(source).__name__


def program_of(source: Any) -> Program | None:
    """The program that a source is or holds; None where it is none.

    Raises:
        FormatError: An .espdl file cannot be read.
    """
    from tinsmith.espdl import read

    if isinstance(source, (str, Path)):
        return read(source) if _is_espdl(Path(source)) else None
    held = getattr(source, "program", source)
    return held if isinstance(held, Program) else None


def _is_espdl(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(3) in (b"EDL", b"PDL") or path.suffix.lower() == ".espdl"


def perms_of(source: Any) -> dict[str, Perm]:
    """Of a `Quantized`, how each value of the program is laid out."""
    from tinsmith.lower.lowerer import homes_in

    if not hasattr(source, "placement"):
        return {}
    homes = homes_in(source.program, source.network, source.formats, source.widths, source.target) or {}
    return {home.root: home.perm for name, home in homes.items() if home.root == name}


def _float(source: Any, beside: Program | None) -> Any:
    import onnx_ir as ir

    from tinsmith import importers

    if beside is not None:
        made = as_onnx(source, beside)
    elif isinstance(source, (str, Path)) and importers.format_of(source) == "onnx":
        made = source
    else:
        made = ir.to_proto(importers.load(source))
    if isinstance(made, (str, Path)):
        try:
            proto_of(made)
        except Exception as error:  # protobuf's and onnx's exceptions share no base but this one
            importers.load(made)  # says what it is instead
            raise ModelError(f"cannot be read: {error}", subject=str(made)) from error
    return made
