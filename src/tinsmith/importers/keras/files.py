"""``.keras`` and ``.h5`` files, told apart by what they hold rather than by their names."""

from __future__ import annotations

import json
import random
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tinsmith.errors import ModelError
from tinsmith.extras import require
from tinsmith.importers.keras.mending import Mender, custom_objects, layers
from tinsmith.importers.reasons import innermost
from tinsmith.importers.recognize import recognize
from tinsmith.importers.silence import silence

_CONFIG, _METADATA, _ATTRIBUTE = "config.json", "metadata.json", "model_config"
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK"
_WEIGHTS_ONLY = (
    "Build the model in Python, call its load_weights with this file and give the model in memory, or save it whole: "
    "model.save('model.keras')."
)
_DAMAGED = "Check that the download or export is complete."
_IN_MEMORY = "Load it in Python, keras.saving.load_model(path, custom_objects={…}), and give the model in memory."


def opened(keras: ModuleType, path: Path, subject: str | None = None, way_out: str = _IN_MEMORY) -> Any:
    """The model in a file.

    Args:
        keras: The package.
        path: Of the file.
        subject: What messages call it; its path where this is not given.
        way_out: What messages advise for a file that needs more than is in it.

    Raises:
        ModelError: There is no such file, or no whole model in it; it needs classes that nobody registered; it holds
            code.
    """
    subject = subject or str(path)
    try:
        with path.open("rb") as file:
            start = file.read(len(_HDF5))
    except FileNotFoundError as error:
        raise ModelError("the file does not exist.", subject=subject) from error
    except OSError as error:
        raise ModelError(f"the file cannot be read: {error.strerror}.", subject=subject) from error
    reader = _Reader(keras, path, subject, way_out)
    if start == _HDF5:
        return reader.of_hdf5()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if _CONFIG in archive.namelist():
                return reader.of_archive(archive)
    found = None if start.startswith(_ZIP) and not zipfile.is_zipfile(path) else recognize(path.read_bytes())
    kind = f"this is {found.kind}, not a Keras model" if found else "this is not a Keras model, or it is cut off"
    raise ModelError(f"{kind}.", subject=subject, hint=found.way_out if found else _DAMAGED)


@dataclass(frozen=True, slots=True)
class _Reader:
    keras: ModuleType
    path: Path
    subject: str
    way_out: str

    def of_archive(self, archive: zipfile.ZipFile) -> Any:
        """The newer format: a zip archive."""
        try:
            config = json.loads(archive.read(_CONFIG))
            metadata = json.loads(archive.read(_METADATA)) if _METADATA in archive.namelist() else {}
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            reason = f"its {_CONFIG} cannot be read: {innermost(error)}"
            raise ModelError(reason, subject=self.subject, hint=_DAMAGED) from error
        mended = self._mended(config, metadata.get("keras_version"), is_hdf5=False)
        if mended == config and self.path.suffix == ".keras":
            return self._loaded(self.path, config)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "model.keras"
            with zipfile.ZipFile(copy, "w") as target:
                for name in archive.namelist():
                    target.writestr(name, json.dumps(mended) if name == _CONFIG else archive.read(name))
            return self._loaded(copy, mended)

    def of_hdf5(self) -> Any:
        """The older format: an HDF5 file."""
        h5py = require("h5py", "keras", "reading HDF5 files")
        try:
            with h5py.File(self.path, "r") as file:
                written, version = file.attrs.get(_ATTRIBUTE), file.attrs.get("keras_version")
                has_weights = "model_weights" in file
            config = None if written is None else json.loads(written)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = f"the file cannot be read: {innermost(error)}"
            raise ModelError(reason, subject=self.subject, hint=_DAMAGED) from error
        if config is None:
            reason = "the file holds weights, and not the layers they belong to."
            raise ModelError(reason, subject=self.subject, hint=_WEIGHTS_ONLY)
        if not has_weights:
            raise ModelError("the file holds layers, and not their weights.", subject=self.subject, hint=_DAMAGED)
        mended = self._mended(config, version.decode() if isinstance(version, bytes) else version, is_hdf5=True)
        if mended == config and self.path.suffix in (".h5", ".hdf5"):
            return self._loaded(self.path, config)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "model.h5"
            copy.write_bytes(self.path.read_bytes())
            with h5py.File(copy, "r+") as file:
                file.attrs[_ATTRIBUTE] = json.dumps(mended)
            return self._loaded(copy, mended)

    def _mended(self, config: Any, version: Any, *, is_hdf5: bool) -> Any:
        """The configuration as this Keras should read it. Files without a version are older than versions are."""
        major = str(version).split(".")[0]
        is_old = not major.isdigit() or int(major) < 3
        return Mender(self.keras, self.subject, is_old, is_hdf5, self.way_out).mended(config)

    def _loaded(self, path: Path, config: Any) -> Any:
        keras = self.keras
        try:
            own = custom_objects(keras)
            with _random_numbers_kept(), silence():
                return keras.saving.load_model(path, custom_objects=own, compile=False, safe_mode=True)
        except Exception as error:  # whatever the layers trip over
            unknown = _unknown(keras, config)
            *_, last = str(error).split("Exception encountered: ")
            reason = f"Keras cannot load it: {innermost(ValueError(last))}"
            if unknown:
                reason = f"it needs layers that are not Keras' own: {', '.join(map(repr, unknown))}."
            raise ModelError(reason, subject=self.subject, hint=self.way_out) from error


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
