"""Files of PyTorch, told apart by what is in them, and opened without running what they may bring along."""

from __future__ import annotations

import os
import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from tinsmith.errors import ModelError
from tinsmith.importers.reasons import innermost
from tinsmith.importers.recognize import recognize
from tinsmith.importers.silence import silence
from tinsmith.importers.torch.program_text import refuse_foreign_code

_WEIGHTS = (
    "Build the model in Python, load the weights into it (load_state_dict), and give the module; or save it with "
    "torch.export.save."
)
_PICKLED = (
    "Loading it would run whatever code it names. Where you trust the file, load it in Python and give the module; or "
    "save it with torch.export.save."
)
_DAMAGED = "Check that it is complete, or save it again: torch.export.save(torch.export.export(model, args), path)."
_COMPILED = ("data/aotinductor/", "data/constants/opaque_obj_", "data/constants/custom_obj_")
_OF_TENSORS = ("collections", "torch", "torch._utils", "torch.storage", "torch._tensor", "torch.serialization")
_PICKLES = 5


def open_file(torch: ModuleType, path: Path) -> Any:
    """The program in a file: an `ExportedProgram` or a `ScriptModule`.

    Raises:
        ModelError: There is none: the file is absent or damaged, holds weights only, or a pickled module.
    """
    subject = str(path)
    if not path.exists():
        raise ModelError("the file does not exist.", subject=subject)
    if not path.is_file():
        raise ModelError("this is not a file.", subject=subject)
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise _not_an_archive(file, subject)
            with zipfile.ZipFile(file) as archive:
                names = _inner_names(archive, subject)
                if any("code/" in name for name in names) and "constants.pkl" in names:
                    reader = _script
                else:
                    _check_program(archive, names, subject)
                    reader = _program
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ModelError(f"the file cannot be read: {innermost(error)}", subject=subject, hint=_DAMAGED) from error
    try:
        with silence(), _tensors_only():
            return reader(torch, path)
    except Exception as error:  # of any kind, as the file is damaged
        reason = f"PyTorch {torch.__version__} cannot read it: {innermost(error)}"
        raise ModelError(reason, subject=subject, hint=_DAMAGED) from error


def _program(torch: ModuleType, path: Path) -> Any:
    return torch.export.load(str(path))


def _script(torch: ModuleType, path: Path) -> Any:
    return torch.jit.load(str(path), map_location="cpu")


def _inner_names(archive: zipfile.ZipFile, subject: str) -> dict[str, str]:
    """The entries by their names without the folder that PyTorch puts all of them into."""
    found: dict[str, str] = {}
    for name in archive.namelist():
        _, slash, rest = name.partition("/")
        inner = rest if slash and not name.startswith(("models/", "data/", "code/", "extra")) else name
        if inner in found:
            raise ModelError(f"holds {name!r} twice.", subject=subject, hint=_DAMAGED)
        found[inner] = name
    return found


def _check_program(archive: zipfile.ZipFile, names: dict[str, str], subject: str) -> None:
    """Refuses an archive that holds no exported program, or more than one made of PyTorch's operators."""
    texts = [name for name in names if name.startswith("models/") or name == "serialized_exported_program.json"]
    if not texts:
        if "data.pkl" in names:
            with archive.open(names["data.pkl"]) as file:
                raise _pickled(file, subject)
        raise ModelError("this is a zip archive without a model of PyTorch.", subject=subject, hint=_DAMAGED)
    if any(name.startswith(_COMPILED) for name in names):
        reason = "holds compiled code or objects of Python beside the exported program."
        raise ModelError(reason, subject=subject, hint="Save the program alone: torch.export.save.")
    for text in texts:
        refuse_foreign_code(archive.read(names[text]), subject)


def _not_an_archive(file: IO[bytes], subject: str) -> ModelError:
    file.seek(0)
    head = file.read(4096)
    file.seek(0)
    if head.startswith(b"\x80"):
        return _pickled(file, subject)
    found = recognize(head)
    if not head or found is None or head.startswith(b"PK"):
        reason = "the file is empty." if not head else "this is not a file of PyTorch, or it is cut off."
        return ModelError(reason, subject=subject, hint=_DAMAGED)
    return ModelError(f"this is {found.kind}, not a file of PyTorch.", subject=subject, hint=found.way_out)


def _pickled(file: IO[bytes], subject: str) -> ModelError:
    """What torch.save wrote: which it is shows in the classes that are named, without making any."""
    foreign = next((name for name in _classes(file) if name.rpartition(".")[0] not in _OF_TENSORS), None)
    if foreign is None:
        return ModelError("this file holds weights (a state dict) and no model.", subject=subject, hint=_WEIGHTS)
    return ModelError(f"this is a pickle of Python objects ({foreign}).", subject=subject, hint=_PICKLED)


def _classes(file: IO[bytes]) -> Iterator[str]:
    """Names of the classes and functions in a file of pickles, which are read and not run."""
    texts: list[str] = []
    try:
        for _ in range(_PICKLES):
            for opcode, value, _ in pickletools.genops(file):
                if opcode.name == "GLOBAL":
                    yield str(value).replace(" ", ".")
                elif opcode.name == "STACK_GLOBAL":
                    yield ".".join(texts[-2:])
                elif isinstance(value, str):
                    texts.append(value)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile):  # where the pickles end
        return


@contextmanager
def _tensors_only() -> Iterator[None]:
    """PyTorch's own unpickler for tensors in place of Python's, whatever its functions ask for."""
    key = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(key)
    os.environ[key] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[key]
        else:
            os.environ[key] = before
