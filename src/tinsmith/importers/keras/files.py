"""``.keras`` and ``.h5`` files, told apart by what they hold rather than by their names."""

from __future__ import annotations

import json
import random
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from tinsmith.errors import ModelError
from tinsmith.extras import require
from tinsmith.importers.keras.mending import Mender, custom_objects, layers
from tinsmith.importers.keras.reasons import first_sentence
from tinsmith.importers.recognize import recognize
from tinsmith.importers.torch.silence import silence

_CONFIG, _METADATA, _ATTRIBUTE = "config.json", "metadata.json", "model_config"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_WEIGHTS_ONLY = (
    "Build the model in Python, call its load_weights with this file and give the model in memory, or save it whole: "
    "model.save('model.keras')."
)
_DAMAGED = "Check that the download or export is complete."


def opened(keras: ModuleType, path: Path, subject: str | None = None) -> Any:
    """The model in a file.

    Args:
        keras: The package.
        path: Of the file.
        subject: What messages call it; its path where this is not given.

    Raises:
        ModelError: There is no such file, or no whole model in it; it needs classes that nobody registered; it holds
            code.
    """
    subject = subject or str(path)
    try:
        with path.open("rb") as file:
            start = file.read(len(_HDF5))
    except OSError as error:
        reason = "the file does not exist" if isinstance(error, FileNotFoundError) else "the file cannot be read"
        raise ModelError(
            f"{reason}." if "not exist" in reason else f"{reason}: {error.strerror}.", subject=subject
        ) from error
    if start == _HDF5:
        return _from_hdf5(keras, path, subject)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if _CONFIG in archive.namelist():
                return _from_archive(keras, path, archive, subject)
    found = recognize(path.read_bytes())
    kind = f"this is {found.kind}, not a Keras model" if found else "this is not a Keras model, or it is cut off"
    raise ModelError(f"{kind}.", subject=subject, hint=found.way_out if found else _DAMAGED)


def _from_archive(keras: ModuleType, path: Path, archive: zipfile.ZipFile, subject: str) -> Any:
    try:
        config = json.loads(archive.read(_CONFIG))
        metadata = json.loads(archive.read(_METADATA)) if _METADATA in archive.namelist() else {}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"its {_CONFIG} cannot be read: {error}.", subject=subject, hint=_DAMAGED) from error
    mended = _mended(keras, config, metadata.get("keras_version"), subject, is_hdf5=False)
    if mended == config and path.suffix == ".keras":
        return _loaded(keras, path, config, subject)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.keras"
        with zipfile.ZipFile(copy, "w") as target:
            for name in archive.namelist():
                target.writestr(name, json.dumps(mended) if name == _CONFIG else archive.read(name))
        return _loaded(keras, copy, mended, subject)


def _from_hdf5(keras: ModuleType, path: Path, subject: str) -> Any:
    h5py = require("h5py", "keras", "reading HDF5 files")
    try:
        with h5py.File(path, "r") as file:
            written, version = file.attrs.get(_ATTRIBUTE), _text(file.attrs.get("keras_version"))
            whole = "model_weights" in file
        config = None if written is None else json.loads(_text(written))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"the file cannot be read: {first_sentence(error)}", subject=subject, hint=_DAMAGED) from error
    if config is None:
        raise ModelError(
            "the file holds weights, and not the layers they belong to.", subject=subject, hint=_WEIGHTS_ONLY
        )
    if not whole:
        raise ModelError("the file holds layers, and not their weights.", subject=subject, hint=_DAMAGED)
    mended = _mended(keras, config, version, subject, is_hdf5=True)
    if mended == config and path.suffix in (".h5", ".hdf5"):
        return _loaded(keras, path, config, subject)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.h5"
        copy.write_bytes(path.read_bytes())
        with h5py.File(copy, "r+") as file:
            file.attrs[_ATTRIBUTE] = json.dumps(mended)
        return _loaded(keras, copy, mended, subject)


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _mended(keras: ModuleType, config: Any, version: Any, subject: str, *, is_hdf5: bool) -> Any:
    """The configuration as this Keras should read it. Files without a version are older than versions are."""
    major = str(version).split(".")[0]
    is_old = not major.isdigit() or int(major) < 3
    return Mender(keras, subject, is_old, is_hdf5).mended(config)


def _loaded(keras: ModuleType, path: Path, config: Any, subject: str) -> Any:
    try:
        with _random_numbers_kept(), silence():
            return keras.saving.load_model(path, custom_objects=custom_objects(keras), compile=False, safe_mode=True)
    except Exception as error:  # whatever the layers trip over
        if unknown := _unknown(keras, config):
            names = ", ".join(map(repr, unknown))
            given = ", ".join(f"{name!r}: {name}" for name in unknown)
            hint = (
                f"Load it with keras.saving.load_model(path, custom_objects={{{given}}}) and give the model in memory, "
                "or register them before: keras.saving.register_keras_serializable."
            )
            raise ModelError(
                f"it needs classes that are not Keras' own: {names}.", subject=subject, hint=hint
            ) from error
        hint = "Load it with keras.saving.load_model, with the custom_objects it needs, and give the model in memory."
        raise ModelError(f"Keras cannot load it: {first_sentence(error)}", subject=subject, hint=hint) from error


def _unknown(keras: ModuleType, config: Any) -> list[str]:
    """Classes of layers that neither Keras nor anybody who registered them has."""
    found: dict[str, None] = {}
    for layer in layers(config):
        name, registered = layer["class_name"], layer.get("registered_name")
        own = hasattr(keras.layers, name) or hasattr(keras, name) or name == "Functional"
        if not own and not any(keras.saving.get_registered_object(one) for one in (registered or name, name)):
            found[name] = None
    return list(found)


@contextmanager
def _random_numbers_kept() -> Iterator[None]:
    """Keras draws first weights and seeds for layers before it reads theirs."""
    torch = require("torch", "keras", "reading Keras models")
    state = random.getstate()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(state)
