"""Frameworks are optional: what does without one imports none, what needs one says which."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.shared import shared_files
from tests.small_net import classifier, images, saved

FRAMEWORKS = {"torch", "torchvision", "keras", "tf_keras", "tensorflow", "tf2onnx", "jax", "flax", "h5py", "paddle"}
QUANTIZE = "import tinsmith\nq = tinsmith.quantize('model.onnx', 'data.npy')\nq.save('out')\n"
WITHOUT = {
    "the package": "import tinsmith\n",
    "all public names": "import tinsmith\nfor name in tinsmith.__all__: getattr(tinsmith, name)\n",
    "quantizing and simulating": QUANTIZE + "import numpy\nq.simulate({'image': numpy.load('data.npy')[:2]})\n",
    "the verdict": "import tinsmith\ntinsmith.check('model.onnx', 'esp32p4')\n",
    "every command's help": (
        "import sys\nfrom click.testing import CliRunner\nfrom tinsmith.cli import main\n"
        "for name in ('', *main.commands):\n"
        "    result = CliRunner().invoke(main, [*([name] if name else []), '--help'])\n"
        "    assert result.exit_code == 0, result.output\n"
    ),
    "a command": (
        "from tinsmith.cli import main\n"
        "main(['quantize', 'model.onnx', '--data', 'data.npy', '-o', 'out'], standalone_mode=False)\n"
    ),
    "the names of esp-ppq": "import tinsmith.compat.esp_ppq.api, tinsmith.compat.esp_ppq.lib, tinsmith.compat.v1\n",
    "the importers' door": "import tinsmith.importers, tinsmith.importers.onnx, tinsmith.extras\n",
}


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with a model and data."""
    saved(classifier(), tmp_path / "model.onnx")
    np.save(tmp_path / "data.npy", images(8))
    return tmp_path


def run(folder: Path, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a new interpreter."""
    return subprocess.run(
        [sys.executable, *options, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )


def imported(trace: str) -> set[str]:
    """The packages in what `-X importtime` prints."""
    return {name.partition(".")[0] for name in re.findall(r"^import time:.*\| +([\w.]+)$", trace, flags=re.MULTILINE)}


@pytest.mark.parametrize("script", WITHOUT.values(), ids=list(WITHOUT))
def test_no_framework_is_imported(script: str, desk: Path) -> None:
    done = run(desk, script, "-X", "importtime")
    assert done.returncode == 0, done.stderr[-2000:]
    packages = imported(done.stderr)
    assert "tinsmith" in packages
    assert packages & FRAMEWORKS == set()


def test_the_trace_would_show_them() -> None:
    assert imported("import time:       231 |        231 |         torch.nn.modules\n") == {"torch"}


HIDING = """
import json, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

sys.meta_path.insert(0, Hidden())
from tinsmith.errors import MissingExtraError
from tinsmith.importers import load
found = {}
for source in SOURCES:
    kind = type("Net", (), {"__module__": source.partition(":")[2]}) if source.startswith("memory:") else None
    try:
        load(source if kind is None else kind())
        found[source] = None
    except MissingExtraError as error:
        found[source] = str(error)
print(json.dumps(found))
"""
DOORS = {
    "net.pt2": "torch",
    "net.pt": "torch",
    "memory:torch.nn": "torch",
    "net.keras": "keras",
    "net.h5": "keras",
    "memory:keras.src.models": "keras",
    "folder": "tensorflow",
    "folder/saved_model.pb": "tensorflow",
    "frozen.pb": "tensorflow",
    "memory:tensorflow.python.module": "tensorflow",
    "memory:tf_keras.src.engine": "tensorflow",
}
NEEDED_BY = {"torch": {"torch", "keras"}, "keras": {"keras"}, "tensorflow": {"tensorflow"}, "tf2onnx": {"tensorflow"}}


@pytest.fixture
def doors(tmp_path: Path) -> Path:
    """A file for every door, as far as it is looked at before a framework is needed."""
    for name in ("net.pt2", "net.pt"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("net/data.pkl", b"\x80\x02}.")
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", b"")
    (tmp_path / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/saved_model.pb").write_bytes(b"\x08\x01\x12\x02\x0a\x00")
    (tmp_path / "frozen.pb").write_bytes(b"\n\x08\n\x01x\x12\x03Add")
    return tmp_path


@pytest.mark.parametrize(
    "hidden", [*({name} for name in NEEDED_BY), set(NEEDED_BY)], ids=lambda names: "+".join(sorted(names))
)
def test_every_door_says_what_to_install(hidden: set[str], doors: Path) -> None:
    extras = set.union(*(NEEDED_BY[name] for name in hidden))
    sources = [source for source, extra in DOORS.items() if extra in extras]
    everything = hidden | {"h5py", "jax"} if "keras" in hidden else hidden
    done = run(doors, f"HIDDEN, SOURCES = {everything!r}, {sources!r}\n{HIDING}")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert set(found) == set(sources)
    for source, message in found.items():
        assert message is not None, source
        assert "\n" not in message
        assert message.endswith(f"Install it: pip install 'tinsmith[{DOORS[source]}]'."), source
        assert re.search(r": needs [a-z0-9_]+, which is not installed\.", message), message
    assert done.stderr == ""


def test_tflite_needs_none(doors: Path) -> None:
    sources = [str(path) for path in shared_files("data/tflite/*.tflite")][:1]
    if not sources:
        pytest.skip("needs the reference files: there is no data/tflite (set TINSMITH_SHARED)")
    done = run(doors, f"HIDDEN, SOURCES = {FRAMEWORKS!r}, {sources!r}\n{HIDING}")
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == {sources[0]: None}


def test_a_command_says_it_in_one_line(doors: Path) -> None:
    script = "import sys\nfor name in ('torch', 'keras', 'tensorflow'): sys.modules[name] = None\n"
    for source, extra in (("net.pt2", "torch"), ("net.keras", "keras"), ("folder", "tensorflow")):
        command = f"from tinsmith.cli import main\nmain(['check', {source!r}])\n"
        done = run(doors, script + command)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert f"pip install 'tinsmith[{extra}]'" in " ".join(done.stderr.split())
