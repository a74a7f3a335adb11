"""Rules the whole project keeps: sizes of files, what an import pulls in, how long a start takes."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ROOT / "src/tinsmith/espdl/schema"
LONGEST_FILE = 500
HEAVY = {"torch", "tensorflow", "keras", "onnxruntime", "onnx", "onnxscript"}


def python_files() -> list[Path]:
    return [
        path
        for folder in ("src", "tests", "examples", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if GENERATED not in path.parents
    ]


def best_seconds(command: list[str], runs: int = 5) -> float:
    """The processor's seconds of the shortest of several runs: other load on the machine only ever adds time."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return min(seconds() for _ in range(runs))


def test_no_file_is_longer_than_anyone_wants_to_read() -> None:
    files = python_files()
    assert ROOT / "src/tinsmith/__init__.py" in files
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_importing_pulls_in_nothing_heavy() -> None:
    script = "import sys, tinsmith; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert HEAVY & set(loaded.split()) == set()


def test_import_time() -> None:
    bare = best_seconds([sys.executable, "-c", "pass"])
    assert best_seconds([sys.executable, "-c", "import tinsmith"]) - bare <= 0.2


def test_help_time() -> None:
    command = Path(sys.executable).with_name("tinsmith")
    assert best_seconds([str(command), "--help"]) <= 0.3


def test_version_is_the_distributions() -> None:
    from importlib.metadata import version

    import tinsmith

    assert tinsmith.__version__ == version("tinsmith")


@pytest.mark.parametrize("name", ["LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "src/tinsmith/py.typed"])
def test_what_a_project_has(name: str) -> None:
    assert (ROOT / name).is_file()
